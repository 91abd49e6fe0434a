/* test_placement.c  No two things alive at the same operation share a byte of the slab. */
#include "plan/program.h"

#include <stdio.h>

enum { SEEDS = 300 };

/* A tensor or a workspace in the slab, from operation `begin` to `end`. */
typedef struct Box {
    size_t from, to;
    int32_t begin, end;
} Box;

/* The request written out: every tensor and operation by its number. */
typedef struct Flat {
    size_t *bytes, *at; /* [n_tensors] */
    int32_t *born, *dies;
    const TraceOp **op; /* [n_ops] */
    int32_t *segment;   /* [n_ops] */
} Flat;

static int32_t tensor_id(const Trace *t, const TraceSegment *s, TraceRef ref)
{
    return ref >= 0 ? s->first_tensor + ref : t->carried[t->before[s->first_before - 1 - ref]].id;
}

static void flat_op(Flat *f, const Trace *t, const Placement *p, int32_t segment, int32_t op)
{
    const TraceSegment *s = &t->segments[segment];
    const TraceOp *row = &t->ops[trace_template(t, s)->first_op + op - s->first_op];
    f->op[op] = row;
    f->segment[op] = segment;
    for (int i = 0; i < row->n_in; i++)
        f->dies[tensor_id(t, s, row->in[i])] = op;
    if (row->out == TRACE_NO_OUT || row->mutates) return;
    const int32_t id = tensor_id(t, s, row->out);
    f->born[id] = f->dies[id] = op;
    f->bytes[id] = t->tensors[trace_template(t, s)->first_tensor + row->out].bytes;
    f->at[id] = placement_tensor(p, id);
}

static void flat_open(Flat *f, const Trace *t, const Placement *p)
{
    const size_t n = (size_t)t->n_tensors + 1, ops = (size_t)t->n_ops + 1;
    *f = (Flat){ .bytes = heap_take(t->heap, n * sizeof(size_t), "test"),
                 .at = heap_take(t->heap, n * sizeof(size_t), "test"),
                 .born = heap_take(t->heap, n * sizeof(int32_t), "test"),
                 .dies = heap_take(t->heap, n * sizeof(int32_t), "test"),
                 .op = heap_take(t->heap, ops * sizeof(TraceOp *), "test"),
                 .segment = heap_take(t->heap, ops * sizeof(int32_t), "test") };
    for (int32_t s = 0; s < t->n_segments; s++)
        for (int32_t i = 0; i < trace_template(t, &t->segments[s])->n_ops; i++)
            flat_op(f, t, p, s, t->segments[s].first_op + i);
}

static void flat_close(Flat *f, Heap *heap)
{
    heap_give(heap, f->bytes);
    heap_give(heap, f->at);
    heap_give(heap, f->born);
    heap_give(heap, f->dies);
    heap_give(heap, (void *)f->op);
    heap_give(heap, f->segment);
}

static int32_t list_boxes(Box *box, const Flat *f, const Trace *t, const Placement *p)
{
    int32_t n = 0;
    for (int32_t i = 0; i < t->n_tensors; i++)
        box[n++] = (Box){ f->at[i], f->at[i] + f->bytes[i], f->born[i], f->dies[i] };
    for (int32_t i = 0; i < t->n_ops; i++) {
        if (!f->op[i]->workspace_bytes) continue;
        const int32_t segment = f->segment[i];
        const size_t at = placement_workspace(p, segment, i - t->segments[segment].first_op);
        box[n++] = (Box){ at, at + f->op[i]->workspace_bytes, i, i };
    }
    return n;
}

/* The input whose place the operation's output has taken; -1: none. */
static int32_t taken_over(const Flat *f, const Trace *t, int32_t i)
{
    const TraceOp *op = f->op[i];
    if (op->in_place < 0 || op->out == TRACE_NO_OUT || op->mutates) return -1;
    const TraceSegment *s = &t->segments[f->segment[i]];
    const int32_t in = tensor_id(t, s, op->in[op->in_place]), out = tensor_id(t, s, op->out);
    return f->dies[in] == i && f->at[in] == f->at[out] && f->bytes[in] == f->bytes[out] ? in : -1;
}

/* Only an output may lie where its operation's in-place input ends. */
static bool may_share(const Flat *f, const Trace *t, const Box *dying, const Box *born)
{
    if (dying->end != born->begin || dying->from != born->from || dying->to != born->to)
        return false;
    const int32_t in = taken_over(f, t, born->begin);
    return in >= 0 && f->at[in] == dying->from;
}

static void check_apart(const Flat *f, const Trace *t, const Placement *p)
{
    Box *box = heap_take(t->heap, ((size_t)t->n_tensors + (size_t)t->n_ops) * sizeof *box, "test");
    const int32_t n = list_boxes(box, f, t, p);
    for (int32_t i = 0; i < n; i++)
        for (int32_t k = 0; k < n; k++) {
            const Box *a = &box[i], *b = &box[k];
            if (i == k || a->begin > b->begin || a->end < b->begin || a->to <= b->from ||
                b->to <= a->from)
                continue;
            if (!may_share(f, t, a, b))
                fail_msg("[%zu, %zu) of operations %d..%d and [%zu, %zu) of %d..%d", a->from, a->to,
                         a->begin, a->end, b->from, b->to, b->begin, b->end);
        }
    heap_give(t->heap, box);
}

/* The greatest sum of what lives at one operation, an in-place pair counted once. */
static size_t max_live(const Flat *f, const Trace *t)
{
    size_t most = 0;
    for (int32_t i = 0; i < t->n_ops; i++) {
        size_t live = size_align(f->op[i]->workspace_bytes, PLACEMENT_ALIGN);
        for (int32_t k = 0; k < t->n_tensors; k++)
            if (f->born[k] <= i && f->dies[k] >= i)
                live += size_align(f->bytes[k], PLACEMENT_ALIGN);
        const int32_t in = taken_over(f, t, i);
        if (in >= 0) live -= size_align(f->bytes[in], PLACEMENT_ALIGN);
        if (live > most) most = live;
    }
    return most;
}

static void check_tops(const Flat *f, const Trace *t, const Placement *p)
{
    for (int32_t i = 0; i < t->n_tensors; i++)
        for (int32_t s = 0; s < t->n_stages; s++)
            if (f->born[i] < t->stages[s].end_op && f->dies[i] >= t->stages[s].first_op)
                CHECK(f->at[i] + f->bytes[i] <= p->stage_top[s]);
    for (int32_t s = 0; s < t->n_stages; s++)
        CHECK(p->stage_live[s] <= p->stage_top[s] && p->stage_top[s] <= p->top);
}

TEST(placement, of_random_traces_keeps_apart_what_lives_together)
{
    static Program program;
    double sum = 0, worst = 1;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        Heap *heap = heap_create();
        Trace trace;
        Placement placement;
        SnugError err = { { 0 } };
        trace_init(&trace, heap);
        program_init(&program, seed);
        program_rehearse(&program, &trace);
        CHECK(placement_make(&placement, &trace, false, &err) == SNUG_OK);
        Flat flat;
        flat_open(&flat, &trace, &placement);
        check_apart(&flat, &trace, &placement);
        check_tops(&flat, &trace, &placement);
        CHECK_INT(placement.live, max_live(&flat, &trace));
        flat_close(&flat, heap);
        const double gap = (double)placement.top / (double)placement.live;
        sum += gap;
        if (gap > worst) worst = gap;
        placement_release(&placement);
        trace_release(&trace);
        CHECK_INT(heap_now_bytes(heap), 0);
        heap_free(heap);
    }
    print_message("slab over largest sum of live tensors: %.3f on average, %.3f at worst\n",
                  sum / SEEDS, worst);
    /* seen: 1.12 and 1.83, lives at random are unkind (real pipelines: about 1.00); this finds a
     * placement that broke, not one that got worse */
    CHECK(sum / SEEDS < 1.25 && worst < 2.5);
}

/* ---- made by hand ---------------------------------------------------------------------------- */

typedef struct Hand {
    Heap *heap;
    Program program;
    Device device;
    RunHooks hooks;
    SnugError err;
    Run run;
    Trace trace;
    Placement placement;
} Hand;

static void hand_open(Hand *h)
{
    *h = (Hand){ .heap = heap_create() };
    trace_init(&h->trace, h->heap);
    h->device = program_device(&h->program);
    h->hooks = trace_recorder(&h->trace);
    h->run = (Run){ .device = &h->device, .hooks = &h->hooks, .rehearse = true, .err = &h->err };
    run_stage(&h->run, "one");
}

static void hand_place(Hand *h)
{
    CHECK(h->run.status == SNUG_OK);
    CHECK(trace_end(&h->trace, &h->err) == SNUG_OK);
    CHECK(placement_make(&h->placement, &h->trace, false, &h->err) == SNUG_OK);
    Flat flat;
    flat_open(&flat, &h->trace, &h->placement);
    check_apart(&flat, &h->trace, &h->placement);
    flat_close(&flat, h->heap);
}

static void hand_close(Hand *h)
{
    placement_release(&h->placement);
    trace_release(&h->trace);
    CHECK_INT(heap_now_bytes(h->heap), 0);
    heap_free(h->heap);
}

static Tensor hand_op(Hand *h, int64_t floats, int in_place, Tensor a, Tensor b)
{
    Op op = { .kind = OP_ADD, .in_place = in_place, .in = { a, b } };
    op.n_in = tensor_exists(a) + tensor_exists(b);
    op.out = (Tensor){ .dtype = DT_F32, .shape = SHAPE(floats) };
    return run_op(&h->run, &op);
}

TEST(placement, an_output_takes_the_place_of_an_input_that_ends)
{
    Hand h;
    hand_open(&h);
    const Tensor a = hand_op(&h, 1000, -1, NO_TENSOR, NO_TENSOR);
    const Tensor b = hand_op(&h, 1000, 0, a, NO_TENSOR);
    const Tensor c = hand_op(&h, 1000, 0, b, NO_TENSOR);
    const Tensor d = hand_op(&h, 1000, 0, c, NO_TENSOR); /* c is read again below */
    (void)hand_op(&h, 16, -1, c, d);
    hand_place(&h);
    CHECK_INT(placement_tensor(&h.placement, a.id), placement_tensor(&h.placement, b.id));
    CHECK_INT(placement_tensor(&h.placement, b.id), placement_tensor(&h.placement, c.id));
    CHECK(placement_tensor(&h.placement, d.id) != placement_tensor(&h.placement, c.id));
    CHECK_INT(h.placement.top, 4000 + 32 + 4000 + 32 + 64); /* two rounded to 64, and the last */
    hand_close(&h);
}

TEST(placement, equal_blocks_share_their_places)
{
    Hand h;
    hand_open(&h);
    Tensor x = hand_op(&h, 160, -1, NO_TENSOR, NO_TENSOR), first[2] = { NO_TENSOR, NO_TENSOR };
    for (int block = 0; block < 5; block++) {
        run_block(&h.run);
        const Tensor a = hand_op(&h, 1600, -1, x, NO_TENSOR), b = hand_op(&h, 3200, -1, a, x);
        x = hand_op(&h, 160, -1, b, NO_TENSOR);
        if (block == 0) {
            first[0] = a;
            first[1] = b;
        }
        hand_op(&h, 16, -1, x, x);
        if (block < 4) continue;
        hand_place(&h);
        CHECK_INT(placement_tensor(&h.placement, first[0].id),
                  placement_tensor(&h.placement, a.id));
        CHECK_INT(placement_tensor(&h.placement, first[1].id),
                  placement_tensor(&h.placement, b.id));
    }
    CHECK(h.placement.top <=
          h.placement.live + 640); /* one x more than needed, for the hand-over */
    hand_close(&h);
}

TEST(placement, every_refused_allocation_is_reported_and_leaks_nothing)
{
    static Program program;
    Heap *heap = heap_create();
    Trace trace;
    trace_init(&trace, heap);
    program_init(&program, 5);
    program_rehearse(&program, &trace);
    const size_t before = heap_now_bytes(heap);
    SnugStatus status = SNUG_ERR_MEMORY;
    int n = 0;
    while (status != SNUG_OK) {
        SnugError err = { { 0 } };
        Placement placement;
        heap_fail_at(heap, ++n);
        status = placement_make(&placement, &trace, false, &err);
        heap_fail_at(heap, 0);
        CHECK(status == SNUG_OK || (status == SNUG_ERR_MEMORY && err.text[0]));
        if (status == SNUG_OK) placement_release(&placement);
        CHECK_INT(heap_now_bytes(heap), before);
    }
    CHECK(n > 5);
    trace_release(&trace);
    heap_free(heap);
}
