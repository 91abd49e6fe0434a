/* pickle.c  A stack machine over plain values; every opcode is one short function.
 *
 * Bounds: operands are compared with the bytes that remain, stack, marks, memo, texts and boxes
 * have limits, and nothing walks a value recursively, so cycles and doubled values cost nothing. */
#include "formats/pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char FORMAT[] = "torch";

typedef struct Vm {
    const PickleSource *source;
    SnugError *err;
    SnugStatus status;
    size_t at, op_at; /* next byte; the running opcode's */
    PickleValue *stack, *memo;
    size_t n, room, memo_room;
    int32_t marks, boxes;
    bool stopped;
} Vm;

typedef void Opcode(Vm *vm);

__attribute__((format(printf, 3, 4))) static void fail(Vm *vm, Fault fault, const char *what, ...)
{
    char text[512], where[48];
    if (vm->status != SNUG_OK) return;
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof text, what, args);
    va_end(args);
    if (fault == FAULT_TRUNCATED) vm->at = vm->source->n;
    (void)snprintf(where, sizeof where, "pickle byte %zu", vm->op_at);
    vm->status = fault_set(vm->err, fault, vm->source->path, FORMAT, where, "%s", text);
}

static void no_memory(Vm *vm)
{
    if (vm->status == SNUG_OK)
        vm->status = error_set(vm->err, SNUG_ERR_MEMORY, "%s: %s: no memory for the pickle",
                               vm->source->path, FORMAT);
}

/* ---- operands ------------------------------------------------------------------------------- */

/* The next n bytes of the pickle, NULL past its end. */
static const unsigned char *take(Vm *vm, size_t n)
{
    if (vm->status != SNUG_OK) return NULL;
    if (n > vm->source->n - vm->at) {
        fail(vm, FAULT_TRUNCATED, "%zu bytes expected, %zu are left", n, vm->source->n - vm->at);
        return NULL;
    }
    const unsigned char *bytes = vm->source->bytes + vm->at;
    vm->at += n;
    return bytes;
}

static uint64_t take_number(Vm *vm, size_t width)
{
    const unsigned char *bytes = take(vm, width);
    uint64_t value = 0;
    for (size_t i = width; bytes && i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

/* Up to the next newline, which is passed over. */
static bool take_line(Vm *vm, const char **text, size_t *n)
{
    const char *from = (const char *)vm->source->bytes + vm->at;
    const char *end = memchr(from, '\n', vm->source->n - vm->at);
    if (vm->status != SNUG_OK) return false;
    if (!end) {
        fail(vm, FAULT_TRUNCATED, "a name without an end");
        return false;
    }
    *text = from;
    *n = (size_t)(end - from);
    vm->at += *n + 1;
    return true;
}

/* ---- stack ---------------------------------------------------------------------------------- */

/* Twice the room for an array of values. */
static bool grow(Vm *vm, PickleValue **values, size_t n, size_t *room, size_t least)
{
    size_t more = *room ? 2 * *room : 64;
    if (more < least) more = least;
    PickleValue *bigger = arena_array(vm->source->arena, more, sizeof *bigger);
    if (!bigger) {
        no_memory(vm);
        return false;
    }
    if (n) memcpy(bigger, *values, n * sizeof *bigger);
    *values = bigger;
    *room = more;
    return true;
}

static void push(Vm *vm, PickleValue value)
{
    if (vm->status != SNUG_OK) return;
    if (vm->n == PICKLE_MAX_STACK) {
        fail(vm, FAULT_TOO_LARGE, "the stack is full (limit %d values)", PICKLE_MAX_STACK);
        return;
    }
    if (vm->n == vm->room && !grow(vm, &vm->stack, vm->n, &vm->room, 0)) return;
    vm->stack[vm->n++] = value;
}

/* The topmost value; it must not be a mark. */
static PickleValue *top(Vm *vm)
{
    if (vm->status != SNUG_OK) return NULL;
    if (vm->n > 0 && vm->stack[vm->n - 1].kind != PICKLE_MARK) return &vm->stack[vm->n - 1];
    fail(vm, FAULT_BAD, "a value is missing on the stack");
    return NULL;
}

static PickleValue pop(Vm *vm)
{
    PickleValue *value = top(vm);
    if (!value) return (PickleValue){ .kind = PICKLE_NONE };
    vm->n--;
    return *value;
}

/* How many values stand above the last mark, which is taken off with them; *from is the first. */
static bool pop_to_mark(Vm *vm, PickleValue **from, size_t *n)
{
    size_t at = vm->n;
    if (vm->status != SNUG_OK) return false;
    while (at > 0 && vm->stack[at - 1].kind != PICKLE_MARK)
        at--;
    if (at == 0) {
        fail(vm, FAULT_BAD, "no mark on the stack");
        return false;
    }
    *from = vm->stack + at;
    *n = vm->n - at;
    vm->n = at - 1;
    vm->marks--;
    return true;
}

/* ---- boxes ---------------------------------------------------------------------------------- */

static PickleBox *new_box(Vm *vm, const PickleValue *items, size_t n)
{
    if (vm->status != SNUG_OK) return NULL;
    if (vm->boxes++ == PICKLE_MAX_BOXES) {
        fail(vm, FAULT_TOO_LARGE, "too many containers (limit %d)", PICKLE_MAX_BOXES);
        return NULL;
    }
    PickleBox *box = arena_take(vm->source->arena, sizeof *box);
    PickleValue *copy = n ? arena_array(vm->source->arena, n, sizeof *copy) : NULL;
    if (!box || (n && !copy)) {
        no_memory(vm);
        return NULL;
    }
    if (n) memcpy(copy, items, n * sizeof *copy);
    *box = (PickleBox){ copy, (uint32_t)n, (uint32_t)n };
    return box;
}

static void add_items(Vm *vm, PickleBox *box, const PickleValue *items, size_t n)
{
    if (vm->status != SNUG_OK || n == 0) return;
    if (n > box->room - box->n) {
        size_t room = box->room;
        if (box->n + n > UINT32_MAX / 2) {
            fail(vm, FAULT_TOO_LARGE, "a container of over %u values", UINT32_MAX / 2);
            return;
        }
        if (!grow(vm, &box->items, box->n, &room, box->n + n)) return;
        box->room = (uint32_t)room;
    }
    memcpy(box->items + box->n, items, n * sizeof *items);
    box->n += (uint32_t)n;
}

static void push_box(Vm *vm, PickleKind kind, const PickleValue *items, size_t n)
{
    PickleBox *box = new_box(vm, items, n);
    if (box) push(vm, (PickleValue){ .kind = kind, .as.box = box });
}

static void pop_tuple(Vm *vm, size_t n)
{
    PickleValue items[3];
    for (size_t i = n; i-- > 0;)
        items[i] = pop(vm);
    push_box(vm, PICKLE_TUPLE, items, n);
}

/* ---- opcodes: values ------------------------------------------------------------------------ */

static void push_kind(Vm *vm, PickleKind kind)
{
    push(vm, (PickleValue){ .kind = kind });
}

static void push_int(Vm *vm, int64_t value)
{
    push(vm, (PickleValue){ .kind = PICKLE_INT, .as.whole = value });
}

static void push_text(Vm *vm, size_t n, bool checked)
{
    if (vm->status == SNUG_OK && n > PICKLE_MAX_TEXT) {
        fail(vm, FAULT_TOO_LARGE, "a string of %zu bytes (limit %d)", n, PICKLE_MAX_TEXT);
        return;
    }
    const char *text = (const char *)take(vm, n);
    if (!text) return;
    if (checked && text_utf8_check(text, n) < n) {
        fail(vm, FAULT_BAD_TEXT, "a string of invalid UTF-8");
        return;
    }
    push(vm, (PickleValue){ .kind = PICKLE_TEXT, .n = (uint32_t)n, .as.text = text });
}

static void op_protocol(Vm *vm)
{
    (void)take(vm, 1); /* opcodes of other protocols name themselves */
}
static void op_none(Vm *vm)
{
    push_kind(vm, PICKLE_NONE);
}
static void op_true(Vm *vm)
{
    push(vm, (PickleValue){ .kind = PICKLE_BOOL, .as.whole = 1 });
}
static void op_false(Vm *vm)
{
    push_kind(vm, PICKLE_BOOL);
}
static void op_int1(Vm *vm)
{
    push_int(vm, (int64_t)take_number(vm, 1));
}
static void op_int2(Vm *vm)
{
    push_int(vm, (int64_t)take_number(vm, 2));
}
static void op_int4(Vm *vm)
{
    push_int(vm, (int32_t)(uint32_t)take_number(vm, 4));
}

static void op_long1(Vm *vm)
{
    const size_t n = (size_t)take_number(vm, 1);
    const unsigned char *bytes = take(vm, n);
    if (!bytes) return;
    if (n > 8) {
        fail(vm, FAULT_OVERFLOW, "a whole number of %zu bytes (limit 8)", n);
        return;
    }
    uint64_t value = n && bytes[n - 1] & 0x80 ? ~(uint64_t)0 : 0;
    for (size_t i = n; i-- > 0;)
        value = value << 8 | bytes[i];
    push_int(vm, (int64_t)value);
}

static void op_float(Vm *vm)
{
    const unsigned char *bytes = take(vm, 8); /* the one big-endian operand */
    uint64_t bits = 0;
    PickleValue value = { .kind = PICKLE_FLOAT };
    for (size_t i = 0; bytes && i < 8; i++)
        bits = bits << 8 | bytes[i];
    memcpy(&value.as.real, &bits, sizeof bits);
    push(vm, value);
}

static void op_text(Vm *vm)
{
    push_text(vm, (size_t)take_number(vm, 4), true);
}
static void op_short_text(Vm *vm)
{
    push_text(vm, (size_t)take_number(vm, 1), false);
}

/* ---- opcodes: containers -------------------------------------------------------------------- */

static void op_mark(Vm *vm)
{
    if (vm->marks++ == PICKLE_MAX_MARKS)
        fail(vm, FAULT_TOO_DEEP, "containers inside containers (limit %d)", PICKLE_MAX_MARKS);
    push_kind(vm, PICKLE_MARK);
}
static void op_tuple(Vm *vm)
{
    PickleValue *items;
    size_t n;
    if (pop_to_mark(vm, &items, &n)) push_box(vm, PICKLE_TUPLE, items, n);
}
static void op_tuple0(Vm *vm)
{
    push_box(vm, PICKLE_TUPLE, NULL, 0);
}
static void op_tuple1(Vm *vm)
{
    pop_tuple(vm, 1);
}
static void op_tuple2(Vm *vm)
{
    pop_tuple(vm, 2);
}
static void op_tuple3(Vm *vm)
{
    pop_tuple(vm, 3);
}
static void op_list(Vm *vm)
{
    push_box(vm, PICKLE_LIST, NULL, 0);
}
static void op_dict(Vm *vm)
{
    push_box(vm, PICKLE_DICT, NULL, 0);
}
static void op_set(Vm *vm)
{
    push_kind(vm, PICKLE_OPAQUE);
}

/* Put items into the container on top; an opaque one swallows them. */
static void put(Vm *vm, PickleKind kind, const PickleValue *items, size_t n)
{
    const PickleValue *to = top(vm);
    if (!to || to->kind == PICKLE_OPAQUE) return;
    if (to->kind != kind)
        fail(vm, FAULT_BAD, "items for something that is no %s",
             kind == PICKLE_LIST ? "list" : "dictionary");
    else
        add_items(vm, to->as.box, items, n);
}

static void op_append(Vm *vm)
{
    const PickleValue item = pop(vm);
    put(vm, PICKLE_LIST, &item, 1);
}

static void op_appends(Vm *vm)
{
    PickleValue *items;
    size_t n;
    if (pop_to_mark(vm, &items, &n)) put(vm, PICKLE_LIST, items, n);
}

static void op_set_item(Vm *vm)
{
    PickleValue pair[2];
    pair[1] = pop(vm);
    pair[0] = pop(vm);
    put(vm, PICKLE_DICT, pair, 2);
}

static void op_set_items(Vm *vm)
{
    PickleValue *items;
    size_t n;
    if (!pop_to_mark(vm, &items, &n)) return;
    if (n % 2)
        fail(vm, FAULT_BAD, "a key without a value");
    else
        put(vm, PICKLE_DICT, items, n);
}

/* ---- opcodes: memo -------------------------------------------------------------------------- */

static void memo_put(Vm *vm, uint64_t index)
{
    const PickleValue *value = top(vm);
    if (!value) return;
    /* a writer counts up, and every entry took it two bytes at least */
    if (index >= PICKLE_MAX_MEMO || index > vm->source->n / 2) {
        fail(vm, FAULT_TOO_LARGE, "memo index %llu", (unsigned long long)index);
        return;
    }
    if (index >= vm->memo_room &&
        !grow(vm, &vm->memo, vm->memo_room, &vm->memo_room, (size_t)index + 1))
        return;
    vm->memo[index] = *value;
}

static void memo_get(Vm *vm, uint64_t index)
{
    if (vm->status != SNUG_OK) return;
    if (index >= vm->memo_room || vm->memo[index].kind == PICKLE_UNSET)
        fail(vm, FAULT_BAD, "memo index %llu was never set", (unsigned long long)index);
    else
        push(vm, vm->memo[index]);
}

static void op_put1(Vm *vm)
{
    memo_put(vm, take_number(vm, 1));
}
static void op_put4(Vm *vm)
{
    memo_put(vm, take_number(vm, 4));
}
static void op_get1(Vm *vm)
{
    memo_get(vm, take_number(vm, 1));
}
static void op_get4(Vm *vm)
{
    memo_get(vm, take_number(vm, 4));
}

/* ---- opcodes: globals and calls ------------------------------------------------------------- */

static bool names_whole_module(const char *module, size_t n)
{
    return (n >= 9 && memcmp(module, "torch.nn.", 9) == 0) ||
           (n == 8 && memcmp(module, "__main__", 8) == 0);
}

static void op_global(Vm *vm)
{
    const char *module, *name;
    char shown[2][TEXT_ESCAPED];
    size_t module_n, name_n;
    if (!take_line(vm, &module, &module_n) || !take_line(vm, &name, &name_n)) return;
    const PickleGlobal *global = pickle_global(module, module_n, name, name_n);
    if (global && global->meaning != MEANS_UNSUPPORTED) {
        push(vm, (PickleValue){ .kind = PICKLE_GLOBAL, .as.global = global });
        return;
    }
    (void)text_escape(shown[0], module, module_n);
    (void)text_escape(shown[1], name, name_n);
    if (global)
        fail(vm, FAULT_UNSUPPORTED, "%.200s.%.200s", shown[0], shown[1]);
    else
        fail(vm, FAULT_UNSAFE,
             "refusing pickle global %.150s.%.150s%s; convert the file to safetensors", shown[0],
             shown[1],
             names_whole_module(module, module_n) ? " (a whole pickled module, not a state dict)"
                                                  : "");
}

/* A dictionary from [[key, value], ...], as Python 2 wrote it. */
static PickleBox *dict_of_pairs(Vm *vm, PickleValue list)
{
    PickleBox *dict = new_box(vm, NULL, 0);
    for (uint32_t i = 0; dict && i < list.as.box->n; i++) {
        const PickleValue pair = list.as.box->items[i];
        const bool boxed = pair.kind == PICKLE_LIST || pair.kind == PICKLE_TUPLE;
        if (!boxed || pair.as.box->n != 2) {
            fail(vm, FAULT_BAD, "a dictionary made of something else than pairs");
            return NULL;
        }
        add_items(vm, dict, pair.as.box->items, 2);
    }
    return dict;
}

static PickleValue make_dict(Vm *vm, const PickleBox *args)
{
    PickleValue dict = { .kind = PICKLE_DICT };
    if (args->n == 0)
        dict.as.box = new_box(vm, NULL, 0);
    else if (args->n == 1 && args->items[0].kind == PICKLE_LIST)
        dict.as.box = dict_of_pairs(vm, args->items[0]);
    else
        fail(vm, FAULT_BAD, "OrderedDict with odd arguments");
    return dict;
}

static PickleValue make_tensor(Vm *vm, PickleBox *args, bool with_dtype)
{
    const PickleValue *a = args->items;
    bool fits = args->n >= (with_dtype ? 7 : 4);
    fits = fits && a[0].kind == PICKLE_STORAGE && a[1].kind == PICKLE_INT &&
           a[2].kind == PICKLE_TUPLE && a[3].kind == PICKLE_TUPLE;
    if (with_dtype)
        fits = fits && a[6].kind == PICKLE_GLOBAL && a[6].as.global->meaning == MEANS_DTYPE;
    if (!fits)
        fail(vm, FAULT_BAD, "a tensor with odd arguments");
    else if (!with_dtype && a[0].as.box->items[1].as.global->dtype == DT_COUNT)
        fail(vm, FAULT_BAD, "a tensor without a dtype");
    /* readers look for the dtype at 6: without one there the storage's type counts */
    return (PickleValue){ .kind = PICKLE_TENSOR, .n = with_dtype, .as.box = args };
}

/* "Call" a global on a tuple of arguments. */
static PickleValue call(Vm *vm, PickleValue callable, PickleValue args)
{
    const PickleValue none = { .kind = PICKLE_NONE };
    if (vm->status != SNUG_OK) return none;
    if (callable.kind != PICKLE_GLOBAL) {
        fail(vm, FAULT_UNSAFE, "a call of something that is no known function");
        return none;
    }
    if (args.kind != PICKLE_TUPLE) {
        fail(vm, FAULT_BAD, "a call without a tuple of arguments");
        return none;
    }
    switch (callable.as.global->meaning) {
    case MEANS_DICT:
        return make_dict(vm, args.as.box);
    case MEANS_TENSOR:
        return make_tensor(vm, args.as.box, false);
    case MEANS_TENSOR_DTYPE:
        return make_tensor(vm, args.as.box, true);
    case MEANS_FIRST:
        if (args.as.box->n > 0 && (args.as.box->items[0].kind == PICKLE_TENSOR ||
                                   args.as.box->items[0].kind == PICKLE_TUPLE))
            return args.as.box->items[0];
        fail(vm, FAULT_BAD, "%s with odd arguments", callable.as.global->name);
        return none;
    case MEANS_OPAQUE:
        return (PickleValue){ .kind = PICKLE_OPAQUE };
    case MEANS_STORAGE:
    case MEANS_DTYPE:
    case MEANS_UNSUPPORTED:
        break;
    }
    fail(vm, FAULT_UNSAFE, "a call of %s.%s", callable.as.global->module, callable.as.global->name);
    return none;
}

static void op_reduce(Vm *vm)
{
    const PickleValue args = pop(vm), callable = pop(vm);
    push(vm, call(vm, callable, args));
}

/* cls.__new__(cls, *args): the same for the few classes in the table. */
static void op_new_object(Vm *vm)
{
    const PickleValue args = pop(vm), class_value = pop(vm);
    if (vm->status == SNUG_OK && class_value.kind == PICKLE_GLOBAL &&
        class_value.as.global->meaning != MEANS_DICT &&
        class_value.as.global->meaning != MEANS_FIRST)
        fail(vm, FAULT_UNSAFE, "a new object of %s.%s", class_value.as.global->module,
             class_value.as.global->name);
    push(vm, call(vm, class_value, args));
}

/* State of an object: a dictionary's is torch's _metadata, which nobody needs. */
static void op_build(Vm *vm)
{
    (void)pop(vm);
    const PickleValue *object = top(vm);
    if (object && object->kind != PICKLE_DICT && object->kind != PICKLE_OPAQUE &&
        object->kind != PICKLE_TENSOR)
        fail(vm, FAULT_UNSAFE, "state for something that is no dictionary");
}

static void op_persistent(Vm *vm)
{
    const PickleValue id = pop(vm);
    const uint32_t want = vm->source->stacked ? 6 : 5;
    if (vm->status != SNUG_OK) return;
    const PickleValue *item = id.kind == PICKLE_TUPLE ? id.as.box->items : NULL;
    if (item && id.as.box->n > 0 && pickle_is(item[0], "module")) {
        fail(vm, FAULT_UNSAFE, "a whole pickled module, not a state dict");
    } else if (!item || id.as.box->n != want || !pickle_is(item[0], "storage") ||
               item[1].kind != PICKLE_GLOBAL || item[1].as.global->meaning != MEANS_STORAGE ||
               item[2].kind != PICKLE_TEXT || item[4].kind != PICKLE_INT) {
        fail(vm, FAULT_BAD, "this describes no storage");
    }
    const PickleValue storage = { .kind = PICKLE_STORAGE, .as.box = id.as.box };
    if (vm->source->storages) add_items(vm, vm->source->storages, &storage, 1);
    push(vm, storage);
}

static void op_stop(Vm *vm)
{
    vm->stopped = true;
}

/* ---- the machine ---------------------------------------------------------------------------- */

static Opcode *const OPCODES[256] = {
    [0x80] = op_protocol,   ['.'] = op_stop,       ['('] = op_mark,      ['t'] = op_tuple,
    [0x85] = op_tuple1,     [0x86] = op_tuple2,    [0x87] = op_tuple3,   [')'] = op_tuple0,
    [']'] = op_list,        ['}'] = op_dict,       [0x8f] = op_set,      ['a'] = op_append,
    ['e'] = op_appends,     ['s'] = op_set_item,   ['u'] = op_set_items, ['N'] = op_none,
    [0x88] = op_true,       [0x89] = op_false,     ['K'] = op_int1,      ['M'] = op_int2,
    ['J'] = op_int4,        [0x8a] = op_long1,     ['G'] = op_float,     ['X'] = op_text,
    ['U'] = op_short_text,  ['c'] = op_global,     ['R'] = op_reduce,    ['b'] = op_build,
    [0x81] = op_new_object, ['Q'] = op_persistent, ['h'] = op_get1,      ['j'] = op_get4,
    ['q'] = op_put1,        ['r'] = op_put4,
};

SnugStatus pickle_read(const PickleSource *source, PickleValue *out, size_t *used, SnugError *err)
{
    Vm vm = { .source = source, .err = err };
    *out = (PickleValue){ .kind = PICKLE_NONE };
    while (vm.status == SNUG_OK && !vm.stopped) {
        vm.op_at = vm.at;
        if (vm.at == source->n) {
            fail(&vm, FAULT_TRUNCATED, "the pickle has no end");
            break;
        }
        const unsigned char code = source->bytes[vm.at++];
        if (OPCODES[code])
            OPCODES[code](&vm);
        else
            fail(&vm, FAULT_UNSUPPORTED, "opcode 0x%02x (pickle protocol 4?)", code);
    }
    if (vm.status == SNUG_OK) *out = pop(&vm);
    *used = vm.at;
    return vm.status;
}

bool pickle_is(PickleValue value, const char *text)
{
    return value.kind == PICKLE_TEXT && strlen(text) == value.n &&
           memcmp(value.as.text, text, value.n) == 0;
}

const PickleValue *pickle_get(PickleValue dict, const char *key)
{
    const PickleBox *box = dict.as.box;
    for (uint32_t i = dict.kind == PICKLE_DICT ? box->n : 0; i >= 2; i -= 2)
        if (pickle_is(box->items[i - 2], key)) return &box->items[i - 1];
    return NULL;
}
