/* ops_check.c  A failed check names the operation, the rule and the shape. */
#include "compute/ops_check.h"

bool op_require(Run *r, OpKind kind, bool holds, const char *what, Tensor x)
{
    if (!run_ok(r)) return false;
    if (holds) return true;
    char text[SHAPE_TEXT];
    (void)run_fail(r, SNUG_ERR_INTERNAL, "op %s: %s (got %s)", op_kind_name(kind), what,
                   shape_text(x.shape, text, sizeof text));
    return false;
}

bool op_require_weight(Run *r, OpKind kind, const Weight *w, int64_t n)
{
    if (!run_ok(r)) return false;
    if (w && shape_count(w->shape) == n) return true;
    char text[SHAPE_TEXT];
    (void)run_fail(r, SNUG_ERR_INTERNAL, "op %s: weight %s has %s, needs %lld elements",
                   op_kind_name(kind), w ? w->name : "(none)",
                   w ? shape_text(w->shape, text, sizeof text) : "[]", (long long)n);
    return false;
}
