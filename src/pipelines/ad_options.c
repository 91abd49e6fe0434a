/* ad_options.c  Options of ad; the names are those of the service's requests. */
#include "media/fonts.h"
#include "pipelines/ad.h"

#define AT(field) offsetof(AdRequest, field)

/* clang-format off */
const Option AD_OPTIONS[] = {
    { { "flux",           SNUG_OPTION_PATH, NULL, 0, 0, "PATH", "FLUX.1 dev: folder or file" }, AT(flux) },
    { { "sdxl",           SNUG_OPTION_PATH, NULL, 0, 0, "PATH", "Stable Diffusion XL: folder or file; for the letters" }, AT(sdxl) },
    { { "sdxl-vae",       SNUG_OPTION_PATH, NULL, 0, 0, "PATH", "another VAE for SDXL" }, AT(sdxl_vae) },
    { { "controlnet",     SNUG_OPTION_PATH, NULL, 0, 0, "PATH", "ControlNet (canny) for SDXL: folder; for the letters" }, AT(controlnet) },
    { { "birefnet",       SNUG_OPTION_PATH, NULL, 0, 0, "PATH", "BiRefNet: folder or file" }, AT(birefnet) },
    { { "fill",           SNUG_OPTION_PATH, NULL, 0, 0, "PATH", "FLUX.1 Fill: draws the composite instead of FLUX.1 dev" }, AT(fill) },
    { { "input-image",    SNUG_OPTION_PICTURE, NULL, 0, 0, "FILE", "the product; a white picture stands in" }, AT(input_image) },
    { { "bg-prompt",      SNUG_OPTION_TEXT, "",   0, 0, "TEXT", "step 1: the background" }, AT(bg_prompt) },
    { { "bg-composition-prompt", SNUG_OPTION_TEXT, "A photorealistic object integration. Heavy contact shadows, ambient occlusion, realistic texture and lighting, 8k, extremely detailed, cinematic.", 0, 0, "TEXT", "step 1: how the product stands in it" }, AT(bg_composition_prompt) },
    { { "guidance-scale", SNUG_OPTION_FLOAT, "3.5", 0, 100, "G", "step 1: FLUX's guidance" }, AT(guidance_scale) },
    { { "strength",       SNUG_OPTION_FLOAT, "0.6", 0, 1, "S", "step 1: how much the product's surroundings may change" }, AT(strength) },
    { { "text-content",   SNUG_OPTION_TEXT, NULL, 0, 0, "TEXT", "step 2: the letters; without them step 1 is the result" }, AT(text_content) },
    { { "text-model-prompt", SNUG_OPTION_TEXT, "3D render of Gold foil balloon text, inflated, shiny metallic texture, floating in air, cinematic lighting, sharp details, isolated on black background", 0, 0, "TEXT", "step 2: how they look" }, AT(text_model_prompt) },
    { { "negative-prompt", SNUG_OPTION_TEXT, "floor, ground, dirt, debris, random shapes, multiple objects, clutter, ugly, low quality", 0, 0, "TEXT", "step 2: what to avoid" }, AT(negative_prompt) },
    { { "text-guidance",  SNUG_OPTION_FLOAT, "5", 0, 100, "G", "step 2: SDXL's guidance" }, AT(text_guidance) },
    { { "font",           SNUG_OPTION_PATH, NULL, 0, 0, "FONT", "step 2: a font file, or the name of one below --font-folder (snug fonts); default: one that can write the text" }, AT(font) },
    { { "font-folder",    SNUG_OPTION_PATH, FONTS_FOLDER, 0, 0, "DIR", "where fonts are looked for" }, AT(font_folder) },
    { { "text-size",      SNUG_OPTION_INT,  "160", 8, 1000, "PX", "step 2: height of the letters in the guide" }, AT(text_size) },
    { { "composition-mode", SNUG_OPTION_TEXT, "overlay", 0, 0, "NAME", "step 3: overlay, blend or behind" }, AT(composition_mode) },
    { { "text-position",  SNUG_OPTION_TEXT, "top", 0, 0, "NAME", "step 3: top, center, bottom, or auto: where the background is darkest" }, AT(text_position) },
    { { "composition-prompt", SNUG_OPTION_TEXT, NULL, 0, 0, "TEXT", "step 3: words for the prompt" }, AT(composition_prompt) },
    { { "composition-strength", SNUG_OPTION_FLOAT, "0.4", 0, 1, "S", "step 3: how much the letters' surroundings may change" }, AT(composition_strength) },
    { { "composition-steps", SNUG_OPTION_INT, "28", 1, 1000, "N", "step 3: denoising steps, before --composition-strength" }, AT(composition_steps) },
    { { "bg-steps",       SNUG_OPTION_INT,  "25", 1, 1000, "N", "step 1: denoising steps of the background" }, AT(bg_steps) },
    { { "product-steps",  SNUG_OPTION_INT,  "28", 1, 1000, "N", "step 1: of the product, before --strength" }, AT(product_steps) },
    { { "text-steps",     SNUG_OPTION_INT,  "30", 1, 1000, "N", "step 2: denoising steps of the letters" }, AT(text_steps) },
    { { "size",           SNUG_OPTION_SIZE, "1024x1024", 64, 4096, "WxH", "size of every picture; a square" }, AT(size) },
    { { "seed",           SNUG_OPTION_INT,  "random", -9.2e18, 9.2e18, "N", "seed of all steps; random: one is drawn, and the result says which" }, AT(seed) },
    { { "cutout-size",    SNUG_OPTION_INT,  "1024", 32, 8192, "PX", "side of what BiRefNet looks at, a multiple of 32" }, AT(cutout_size) },
    { { "start-step",     SNUG_OPTION_INT,  "1", 1, 3, "N", "go on from there, with --step1-image and --step2-image" }, AT(start_step) },
    { { "step1-image",    SNUG_OPTION_PICTURE, NULL, 0, 0, "FILE", "result of step 1" }, AT(step1_image) },
    { { "step2-image",    SNUG_OPTION_PICTURE, NULL, 0, 0, "FILE", "result of step 2: letters with alpha" }, AT(step2_image) },
    { { "demo",           SNUG_OPTION_FLAG, "false", 0, 0, "", "a dummy: no model is needed, flat pictures that say DUMMY; for tests" }, AT(demo) },
    { { "demo-tick-ms",   SNUG_OPTION_INT, "500", 0, 60000, "MS", "with --demo: what each of its steps takes" }, AT(demo_tick_ms) },
    { { "auto-unload-step1", SNUG_OPTION_SWITCH, NULL, 0, 0, "[=on|off]", "give up the weights of step 1 at its end; default: as --auto-unload" }, AT(unload[0]) },
    { { "auto-unload-step2", SNUG_OPTION_SWITCH, NULL, 0, 0, "[=on|off]", "the same for step 2" }, AT(unload[1]) },
    { { "auto-unload-step3", SNUG_OPTION_SWITCH, NULL, 0, 0, "[=on|off]", "the same for step 3" }, AT(unload[2]) },
    { { "steps-folder",   SNUG_OPTION_PATH, NULL, 0, 0, "DIR", "existing folder for step1_result.png and step2_result.png" }, AT(steps_folder) },
    { { NULL, SNUG_OPTION_TEXT, NULL, 0, 0, NULL, NULL }, 0 },
};
/* clang-format on */
