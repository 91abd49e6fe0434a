/* wan_options.c  Options of the Wan pipelines. */
#include "pipelines/wan.h"

#define AT(field) offsetof(WanRequest, field)

/* clang-format off */
const Option WAN_OPTIONS[] = {
    { { "model",        SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "model: a folder (diffusers or original Wan layout) or one file with everything" }, AT(paths.model) },
    { { "transformer",  SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "file or folder of the transformer (the high-noise one of two) instead of the model's" }, AT(paths.transformer) },
    { { "transformer-low", SNUG_OPTION_PATH, NULL, 0, 0, "PATH", "file or folder of the low-noise transformer" }, AT(paths.transformer_low) },
    { { "text-encoder", SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "file or folder of the text encoder" }, AT(paths.text_encoder) },
    { { "vae",          SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "file or folder of the VAE" }, AT(paths.vae) },
    { { "image-encoder", SNUG_OPTION_PATH, NULL, 0, 0, "PATH", "file or folder of the CLIP image encoder (Wan2.1 image to video)" }, AT(paths.image_encoder) },
    { { "tokenizer",    SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "tokenizer.json, spiece.model, or their folder" }, AT(paths.tokenizer) },
    { { "prompt",       SNUG_OPTION_TEXT,  "",   0, 0, "TEXT", "what to show" }, AT(prompt) },
    { { "negative",     SNUG_OPTION_TEXT,  NULL, 0, 0, "TEXT", "what to avoid; not given: the published negative prompt for original Wan files, none for diffusers folders" }, AT(negative) },
    { { "image",        SNUG_OPTION_PATH,  NULL, 0, 0, "FILE", "first frame (PNG, JPEG, WebP)" }, AT(image) },
    { { "last-image",   SNUG_OPTION_PATH,  NULL, 0, 0, "FILE", "last frame, for models that take the picture as channels (Wan2.1 FLF2V, Wan2.2 I2V)" }, AT(last_image) },
    { { "camera",       SNUG_OPTION_PATH,  NULL, 0, 0, "PATH", "camera path, for LingBot-World and Wan-Fun camera models: folder with poses.npy and intrinsics.npy, CameraCtrl text, or words such as pan-left:30,dolly-in+tilt-up,orbit:90" }, AT(camera) },
    { { "size",         SNUG_OPTION_SIZE,  NULL, 8, 16384, "WxH", "video size in pixels; the model's own or the image's if not given" }, AT(size) },
    { { "frames",       SNUG_OPTION_INT,   "-1", -1, 4097, "N", "number of frames, 4n + 1; -1: the model's own" }, AT(frames) },
    { { "fps",          SNUG_OPTION_FLOAT, "-1", -1, 240, "N", "frames per second; -1: the model's own" }, AT(fps) },
    { { "steps",        SNUG_OPTION_INT,   "-1", -1, 1000, "N", "denoising steps; -1: the model's own" }, AT(steps) },
    { { "guidance",     SNUG_OPTION_FLOAT, "-1", -1, 100, "G", "guidance scale (of the high-noise expert if there are two); up to 1: off; -1: the model's own" }, AT(guidance) },
    { { "guidance-low", SNUG_OPTION_FLOAT, "-1", -1, 100, "G", "guidance scale of the low-noise expert; -1: as --guidance" }, AT(guidance_low) },
    { { "shift",        SNUG_OPTION_FLOAT, "-1", -1, 100, "S", "time shift of the scheduler; -1: the checkpoint's" }, AT(shift) },
    { { "boundary",     SNUG_OPTION_FLOAT, "-1", -1, 1, "B", "part of the timesteps below which the low-noise expert takes over; -1: the checkpoint's" }, AT(boundary) },
    { { "scheduler",    SNUG_OPTION_TEXT,  NULL, 0, 0, "NAME", "unipc, unipc-orig, euler, dpm++, dpm++-orig; the checkpoint's own if not given" }, AT(scheduler) },
    { { "step-cache",   SNUG_OPTION_TEXT,  "off", 0, 0, "HOW", "off, or teacache[:THRESHOLD]: steps whose timestep has moved little take over what the blocks did before; faster, another result" }, AT(step_cache) },
    { { "seed",         SNUG_OPTION_INT,   "0", -9.2e18, 9.2e18, "N", "seed of the noise, as torch's CPU generator draws it" }, AT(seed) },
    { { "noise",        SNUG_OPTION_PATH,  NULL, 0, 0, "FILE", "initial noise as .npy [C, T, h, w] instead of a seed" }, AT(noise) },
    { { "lora",         SNUG_OPTION_LIST,  NULL, 0, 0, "FILE[:S[:high|low]]", "LoRA file, its strength (1 if not given), and which of two transformers; may be given several times" }, AT(loras) },
    { { "strict-lora",  SNUG_OPTION_FLAG,  "false", 0, 0, "", "tensors of a LoRA file that fit nothing are an error" }, AT(strict_lora) },
    { { NULL, SNUG_OPTION_TEXT, NULL, 0, 0, NULL, NULL }, 0 },
};
/* clang-format on */
