/* gemm_avx512.c  Product blocks by tiles of 14 x 32, two panels at a time. */
#include "compute/cpu/vec.h"

#define TILE_ROWS     14
#define VLEN_IS_PANEL 1
#include "compute/cpu/gemm_body.h"

void gemm_block_avx512(const GemmTile *tile)
{
    gemm_block_body(tile);
}
