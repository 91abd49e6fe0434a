/* npz.h  NumPy archives: a zip of .npy files, as numpy.savez writes it (not savez_compressed). */
#ifndef FORMATS_NPZ_H
#define FORMATS_NPZ_H

#include "formats/entry.h"

/** FormatRead. An entry per member NAME.npy; other members are passed over. Arrays in Fortran order
 *  or of the other byte order are listed, but cannot be loaded. */
SnugStatus npz_read(const File *file, Arena *arena, EntryList *out, SnugError *err);

#endif
