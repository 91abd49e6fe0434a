/* wan_variant.c  The table of published models; the first row that fits counts. */
#include "pipelines/wan_variant.h"

#include "base/size.h"
#include "text/negative_prompts.h"

/* clang-format off */
static const WanVariant VARIANTS[] = {
    { .name = "Wan2.2 TI2V-5B", .words = "text, or image and text, to video", .command = "wan-ti2v",
      .build = { WAN_IMAGE_FIRST_FRAME, 1, false, false, false },
      .frames = 121, .steps = 50, .width = 1280, .height = 704, .fps = 24,
      .guidance = 5.0, .guidance_low = 5.0, .shift = 5.0, .negative = NEGATIVE_PROMPT_WAN },
    { .name = "LingBot-World", .words = "image to video along a camera path", .command = "wan-i2v",
      .build = { WAN_IMAGE_CHANNELS, 2, false, false, true },
      .frames = 81, .steps = 70, .width = 832, .height = 480, .fps = 16,
      .guidance = 5.0, .guidance_low = 5.0, .shift = 10.0, .boundary = 0.947,
      .negative = NEGATIVE_PROMPT_LINGBOT },
    { .name = "Wan2.2 I2V-A14B", .words = "image to video", .command = "wan-i2v",
      .build = { WAN_IMAGE_CHANNELS, 2, false, false, false },
      .frames = 81, .steps = 40, .width = 832, .height = 480, .fps = 16,
      .guidance = 3.5, .guidance_low = 3.5, .shift = 5.0, .boundary = 0.9,
      .negative = NEGATIVE_PROMPT_WAN },
    { .name = "Wan2.1 FLF2V-14B", .words = "first and last image to video", .command = "wan-i2v",
      .build = { WAN_IMAGE_CHANNELS, 1, true, true, false },
      .frames = 81, .steps = 50, .width = 1280, .height = 720, .fps = 16,
      .guidance = 5.0, .guidance_low = 5.0, .shift = 16.0, .negative = NEGATIVE_PROMPT_FLF2V },
    { .name = "Wan2.1 I2V-14B", .words = "image to video", .command = "wan-i2v",
      .build = { WAN_IMAGE_CHANNELS, 1, true, false, false },
      .frames = 81, .steps = 40, .width = 832, .height = 480, .fps = 16,
      .guidance = 5.0, .guidance_low = 5.0, .shift = 5.0, .shift_small = 3.0,
      .negative = NEGATIVE_PROMPT_WAN21_I2V },
    { .name = "one expert of Wan2.2 I2V-A14B", .words = "image to video", .command = "wan-i2v",
      .build = { WAN_IMAGE_CHANNELS, 1, false, false, false },
      .frames = 81, .steps = 40, .width = 832, .height = 480, .fps = 16,
      .guidance = 3.5, .guidance_low = 3.5, .shift = 5.0, .negative = NEGATIVE_PROMPT_WAN },
    { .name = "Wan2.2 T2V-A14B", .words = "text to video", .command = "wan-t2v",
      .build = { WAN_NO_IMAGE, 2, false, false, false },
      .frames = 81, .steps = 40, .width = 832, .height = 480, .fps = 16,
      .guidance = 4.0, .guidance_low = 3.0, .shift = 12.0, .boundary = 0.875,
      .negative = NEGATIVE_PROMPT_WAN },
    { .name = "Wan2.1 T2V", .words = "text to video", .command = "wan-t2v",
      .build = { WAN_NO_IMAGE, 1, false, false, false },
      .frames = 81, .steps = 50, .width = 832, .height = 480, .fps = 16,
      .guidance = 5.0, .guidance_low = 5.0, .shift = 5.0, .negative = NEGATIVE_PROMPT_WAN },
};
/* clang-format on */

/* What a row asks for must be there; what it does not ask for may be. */
static bool fits(const WanBuild *row, const WanBuild *have)
{
    return row->image == have->image && row->experts <= have->experts &&
           (!row->clip || have->clip) && (!row->two_pictures || have->two_pictures) &&
           (!row->camera || have->camera);
}

const WanVariant *wan_variant_of(const WanBuild *build)
{
    for (size_t i = 0; i < COUNT(VARIANTS); i++)
        if (fits(&VARIANTS[i].build, build)) return &VARIANTS[i];
    return &VARIANTS[COUNT(VARIANTS) - 1];
}
