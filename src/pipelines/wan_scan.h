/* wan_scan.h  The weight files of a folder, and which of them is which part. */
#ifndef PIPELINES_WAN_SCAN_H
#define PIPELINES_WAN_SCAN_H

#include "pipelines/wan_layout.h"

enum { WAN_SCAN_MAX_FILES = 64, WAN_SCAN_MAX_FOLDERS = 64 };

/** Open what is in a folder, and with `deep` what is one folder below; it joins layout->files. Files
 *  that cannot be read are noted in layout->trouble and left out. */
SNUG_MUST_USE SnugStatus wan_scan_folder(WanLayout *layout, const char *path, bool deep,
                                         SnugError *err);
/** Open a file; it joins layout->files. */
SNUG_MUST_USE SnugStatus wan_scan_file(WanLayout *layout, const char *path, WanFile **out,
                                       SnugError *err);

/** Which of the files found in the model's own folder (or which of its files) is the part of that
 *  role; *out is NULL if none is. SNUG_ERR_FILE: several would do. */
SNUG_MUST_USE SnugStatus wan_scan_choose(WanLayout *layout, WanRole role, WanFile **out,
                                         SnugError *err);
/** The same in a folder that was named for this role. */
SNUG_MUST_USE SnugStatus wan_scan_choose_in(WanLayout *layout, WanRole role, const char *folder,
                                            WanFile **out, SnugError *err);

/** Some file found in a folder, or NULL. */
const WanFile *wan_scan_first(const WanLayout *layout, const char *folder);
/** Does the path, as far as the user did not name it as the model's folder, speak of high noise? */
bool wan_scan_is_high(const WanLayout *layout, const char *path);

#endif
