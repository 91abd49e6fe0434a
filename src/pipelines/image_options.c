/* image_options.c  Options of txt2img, img2img and inpaint. */
#include "pipelines/image.h"

#define AT(field) offsetof(ImageRequest, field)

/* clang-format off */
const Option IMAGE_OPTIONS[] = {
    { { "model",        SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "model: a diffusers folder, or one file with everything" }, AT(paths.model) },
    { { "prompt",       SNUG_OPTION_TEXT,  "",   0, 0, "TEXT", "what to show" }, AT(prompt) },
    { { "prompt-2",     SNUG_OPTION_TEXT,  NULL, 0, 0, "TEXT", "another prompt for the second text encoder (FLUX: T5, SDXL: bigG); the same if not given" }, AT(prompt_2) },
    { { "negative",     SNUG_OPTION_TEXT,  NULL, 0, 0, "TEXT", "what to avoid; FLUX heeds it only with --true-cfg above 1, SDXL with --guidance above 1" }, AT(negative) },
    { { "image",        SNUG_OPTION_PATH,  NULL, 0, 0, "FILE", "picture to begin from (img2img, inpaint): PNG, JPEG, WebP" }, AT(image) },
    { { "mask",         SNUG_OPTION_PATH,  NULL, 0, 0, "FILE", "inpaint: picture of the same size, white where to draw anew" }, AT(mask) },
    { { "keep-unmasked", SNUG_OPTION_FLAG, "false", 0, 0, "", "inpaint: where the mask leaves the picture alone, its own pixels, not those that the VAE made of them" }, AT(keep_unmasked) },
    { { "size",         SNUG_OPTION_SIZE,  NULL, 8, 16384, "WxH", "size in pixels; the model's own, or the picture's, if not given" }, AT(size) },
    { { "batch",        SNUG_OPTION_INT,   "1",  1, IMAGE_MAX_BATCH, "N", "pictures to make, with seeds that count up" }, AT(batch) },
    { { "steps",        SNUG_OPTION_INT,   "-1", -1, 1000, "N", "denoising steps; -1: the model's own" }, AT(steps) },
    { { "guidance",     SNUG_OPTION_FLOAT, "-1", -1, 100, "G", "guidance scale; -1: the model's own" }, AT(guidance) },
    { { "true-cfg",     SNUG_OPTION_FLOAT, "1",  0, 100, "G", "FLUX: classifier-free guidance against --negative, at twice the work; up to 1: off" }, AT(true_cfg) },
    { { "strength",     SNUG_OPTION_FLOAT, "-1", -1, 1, "S", "how much of the picture may change, 0 to 1: so much of the steps is done; -1: the model's own" }, AT(strength) },
    { { "scheduler",    SNUG_OPTION_TEXT,  NULL, 0, 0, "NAME", "another scheduler than the model's; SDXL: euler, euler-a, ddim, dpm++, euler-karras, dpm++-karras" }, AT(scheduler) },
    { { "eta",          SNUG_OPTION_FLOAT, "0",  0, 1, "E", "SDXL with ddim: share of fresh noise in each step" }, AT(eta) },
    { { "controlnet",   SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "SDXL: folder of a ControlNet" }, AT(controlnet) },
    { { "control-image", SNUG_OPTION_PATH, NULL, 0, 0, "FILE", "what the ControlNet is to follow: edges, depth, a pose" }, AT(control_image) },
    { { "control-scale", SNUG_OPTION_FLOAT, "1", 0, 10, "S", "how strongly the ControlNet works" }, AT(control_scale) },
    { { "control-start", SNUG_OPTION_FLOAT, "0", 0, 1, "P", "part of the steps from which on the ControlNet works" }, AT(control_start) },
    { { "control-end",  SNUG_OPTION_FLOAT, "1",  0, 1, "P", "part of the steps up to which the ControlNet works" }, AT(control_end) },
    { { "max-tokens",   SNUG_OPTION_INT,   "512", 1, 512, "N", "FLUX: length to which T5 prompts are cut and padded" }, AT(max_tokens) },
    { { "seed",         SNUG_OPTION_INT,   "0",  -9.2e18, 9.2e18, "N", "seed of the noise, as torch's CPU generator draws it" }, AT(seed) },
    { { "rng",          SNUG_OPTION_TEXT,  "cpu", 0, 0, "NAME", "whose noise a seed means: cpu as diffusers draws it, cuda as torch draws it on a card" }, AT(rng) },
    { { "noise",        SNUG_OPTION_PATH,  NULL, 0, 0, "FILE", "initial noise as .npy [N, C, h, w] instead of a seed" }, AT(noise) },
    { { "lora",         SNUG_OPTION_LIST,  NULL, 0, 0, "FILE[:S]", "LoRA file and its strength (1 if not given); may be given several times" }, AT(loras) },
    { { "strict-lora",  SNUG_OPTION_FLAG,  "false", 0, 0, "", "tensors of a LoRA file that fit nothing are an error" }, AT(strict_lora) },
    { { "transformer",  SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "file or folder of the transformer instead of the model's" }, AT(paths.transformer) },
    { { "text-encoder", SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "file or folder of the first text encoder (CLIP)" }, AT(paths.text_encoder) },
    { { "text-encoder-2", SNUG_OPTION_PATH, NULL, 0, 0, "PATH", "file or folder of the second text encoder (FLUX: T5)" }, AT(paths.text_encoder_2) },
    { { "vae",          SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "file or folder of the VAE" }, AT(paths.vae) },
    { { "tokenizer",    SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "tokenizer of the first text encoder: tokenizer.json or its folder" }, AT(paths.tokenizer) },
    { { "tokenizer-2",  SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "tokenizer of the second text encoder" }, AT(paths.tokenizer_2) },
    { { NULL, SNUG_OPTION_TEXT, NULL, 0, 0, NULL, NULL }, 0 },
};
/* clang-format on */
