/* wan_file.c  Look for markers. */
#include "pipelines/wan_file.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/size.h"

/* Networks that are no part of these pipelines: told by name when somebody gives one. The relatives
 * of Wan's transformer hold all its tensors and more; they are not taken for it. */
static const struct {
    const char *marker, *words;
    bool relative;
} OTHERS[] = {
    { "vace_patch_embedding.weight", "a Wan VACE transformer", true },
    { "face_adapter.fuser_blocks.0.linear2.weight", "a Wan Animate transformer", true },
    { "face_adapter.0.to_out.weight", "a Wan Animate transformer", true },
    { "casual_audio_encoder.weights", "a Wan S2V transformer", true },
    { "double_blocks.0.img_attn.norm.key_norm.scale", "a Flux transformer", false },
    { "joint_blocks.0.context_block.adaLN_modulation.1.bias", "a Stable Diffusion 3 transformer",
      false },
    { "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias", "an SDXL checkpoint",
      false },
    { "txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",
      "a HunyuanVideo transformer", false },
    { "decoder.mid.block_1.norm1.weight", "an image VAE", false },
    { "decoder.mid_block.resnets.0.norm1.weight", "an image VAE", false },
    { "text_model.encoder.layers.0.self_attn.q_proj.weight", "a CLIP text encoder", false },
};

/* What stands before the marker at the end of a name: "" or something that ends in a dot. */
static bool has_marker(const char *name, const char *marker, size_t *prefix)
{
    if (!text_ends(name, marker)) return false;
    *prefix = strlen(name) - strlen(marker);
    return *prefix == 0 || name[*prefix - 1] == '.';
}

/* The shortest prefix under which the marker occurs; SIZE_MAX if it does not. */
static size_t find_marker(const Checkpoint *c, const char *marker, const char **name)
{
    size_t best = SIZE_MAX, n = 0;
    *name = NULL;
    for (int32_t i = 0; i < checkpoint_count(c); i++) {
        const char *there = checkpoint_entry(c, i)->name;
        if (!has_marker(there, marker, &n) || n >= best) continue;
        best = n;
        *name = there;
    }
    return best;
}

/* Two spellings may both be found: "blocks.0.attn.q.weight" ends names of other networks, too. The
 * one with the shorter prefix is meant. */
static SnugStatus recognise(WanFile *f, Arena *arena, SnugError *err)
{
    size_t best[WAN_NETS];
    const char *name;
    for (int k = 0; k < WAN_NETS; k++)
        best[k] = SIZE_MAX;
    for (const WanSpelling *s = WAN_NAMES_SPELLINGS; s->marker; s++) {
        const size_t n = find_marker(f->weights, s->marker, &name);
        if (n >= best[s->network]) continue;
        best[s->network] = n;
        f->spelling[s->network] = s;
        f->prefix[s->network] = n ? arena_text(arena, name, n) : NULL;
        if (n && !f->prefix[s->network])
            return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", f->path);
    }
    for (size_t i = 0; i < COUNT(OTHERS); i++)
        if (OTHERS[i].relative && find_marker(f->weights, OTHERS[i].marker, &name) != SIZE_MAX)
            f->spelling[WAN_NET_TRANSFORMER] = NULL;
    return SNUG_OK;
}

SnugStatus wan_file_open(WanFile **out, Arena *arena, const char *path, const ModelRoot *root,
                         SnugError *err)
{
    *out = NULL;
    WanFile *f = arena_take(arena, sizeof *f);
    if (!f) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    f->path = arena_text(arena, path, strlen(path));
    if (!f->path) return error_set(err, SNUG_ERR_MEMORY, "%s: no memory to open it", path);
    TRY(checkpoint_open(&f->weights, arena->heap, path, root, err));
    const SnugStatus status = recognise(f, arena, err);
    if (status == SNUG_OK)
        *out = f;
    else
        wan_file_close(f);
    return status;
}

void wan_file_close(WanFile *file)
{
    if (!file) return;
    checkpoint_close(file->weights);
    file->weights = NULL;
}

const char *wan_network_words(WanNetwork network)
{
    static const char *const WORDS[WAN_NETS + 1] = { "a Wan transformer", "a T5 text encoder",
                                                     "a Wan video VAE", "a CLIP image encoder",
                                                     "no network that snug knows" };
    return WORDS[network];
}

static bool is_lora(const Checkpoint *c)
{
    for (int32_t i = 0; i < checkpoint_count(c); i++) {
        const char *name = checkpoint_entry(c, i)->name;
        if (text_ends(name, ".lora_A.weight") || text_ends(name, ".lora_down.weight")) return true;
    }
    return false;
}

const char *wan_file_words(const WanFile *file)
{
    const char *name;
    if (is_lora(file->weights)) return "LoRA weights";
    for (size_t i = 0; i < COUNT(OTHERS); i++)
        if (find_marker(file->weights, OTHERS[i].marker, &name) != SIZE_MAX) return OTHERS[i].words;
    int n = 0, last = WAN_NETS;
    for (int k = 0; k < WAN_NETS; k++) {
        if (!file->spelling[k]) continue;
        n++;
        last = k;
    }
    return n > 1 ? "several networks of a Wan model" : wan_network_words((WanNetwork)last);
}

bool wan_file_is_shard(const char *name)
{
    const char *of = strstr(name, "-of-");
    return of && of - name >= 6 && isdigit((unsigned char)of[-1]) && isdigit((unsigned char)of[4]);
}

bool wan_file_is_weights(const char *name)
{
    static const char *const ENDINGS[] = {
        ".safetensors", ".gguf", ".pth", ".pt", ".bin", ".ckpt"
    };
    if (text_ends(name, ".json")) return strstr(name, ".safetensors.") && strstr(name, ".index");
    for (size_t i = 0; i < COUNT(ENDINGS); i++)
        if (text_ends(name, ENDINGS[i])) return !wan_file_is_shard(name);
    return false;
}
