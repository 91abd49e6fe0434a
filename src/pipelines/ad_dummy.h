/* ad_dummy.h  An advertisement without networks (--demo, in requests test_mode): the same steps, events and
 * files, nothing drawn. For tests of whatever stands around it. Every picture has DUMMY written on it, and
 * so has what it says of its making: none can be taken for a result. */
#ifndef PIPELINES_AD_DUMMY_H
#define PIPELINES_AD_DUMMY_H

#include "pipelines/ad.h"

/** The picture of a step (1..3), RGB: light blue, yellow, yellow on light blue. SNUG_ERR_MEMORY. */
SNUG_MUST_USE SnugStatus ad_dummy_picture(Image *out, Heap *heap, int side, int step,
                                          SnugError *err);
/** The recipe: 20, 8 and 5 ticks, --demo-tick-ms each. */
void ad_dummy_recipe(Run *r, AdJob *j);

#endif
