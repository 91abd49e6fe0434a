/* gemm_avx2.c  Product blocks by tiles of 6 x 16. */
#include "compute/cpu/vec.h"

#define TILE_ROWS     6
#define VLEN_IS_PANEL 0
#include "compute/cpu/gemm_body.h"

void gemm_block_avx2(const GemmTile *tile)
{
    gemm_block_body(tile);
}
