/* One decoding step of GPT-2, Mamba and Mamba-2 on a CPU, all layers in one call, float32 sums.
 * Equations and symbols: symbolic/models/{gpt2,mamba,mamba2}.py; packing of the weights, and the caller: native.py.
 *
 * Pass      up to MOST items, an item being the next token of one slot (a row of the state). Consecutive items of one
 *           slot are its next tokens in order, so a prompt is read by the same code that takes a step.
 * Vectors   W lanes, 8 or 16. Every row of numbers is padded with zeros to a multiple of PANEL, so no loop has a tail.
 * Equality  a slot's numbers never depend, in any bit, on its company or on the number of threads.
 */
#define _GNU_SOURCE
#include "vectors.h"
#include "tiles.h"
#include "team.h"
#include "products.h"
#include "model.h"
#include "attention.h"
#include "scan.h"
#include "draw.h"

static void embed(team *t, const pass *p) {
    const int64_t E = p->m->embd;
    for (int64_t run = 0; run < p->n_runs; run++)
        for (int64_t i = p->run[run]; i < p->run[run + 1]; i++) {
            const int64_t at = p->s->lengths[p->slot[i]] + i - p->run[run];
            memcpy(t->x + i * E, p->m->tokens + p->token[i] * E, sizeof(float) * E);
            if (p->m->positions)
                for (int64_t c = 0; c < E; c += W)
                    store(t->x + i * E + c, load(t->x + i * E + c) + load(p->m->positions + at * E + c));
        }
}

static void score(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const model *m = p->m;
    const int64_t E = m->embd;
    float *rows = private_rows(u->t, u->me);
    for (int64_t i = 0; i < p->n_wanted; i++)
        normalise(u->t->x + p->wanted[i] * E, m->norm, m->norm_bias, E, m->n_embd, rows + i * E);
    const operand x = operand_of(u, &m->scores, rows, E, p->n_wanted);
    multiply_share(u, &m->scores, x, p->n_wanted, p->scores, m->vocab, STORE);
    (void)l;
}

static void forward(team *t, const pass *p) {
    embed(t, p);
    for (int64_t l = 0; l < p->m->n_layer; l++) {
        if (p->m->family == GPT2) gpt2_layer(t, p, l);
        else if (p->m->family == MAMBA) mamba_layer(t, p, l);
        else mamba2_layer(t, p, l);
    }
    phase(t, score, p, 0, p->n_wanted ? p->m->scores.panels : 0);
    for (int64_t i = 0; i < p->n; i++) p->s->lengths[p->slot[i]]++;
}

/* All items, in passes of at most MOST. */
static void forward_all(team *t, pass p) {
    const int64_t n = p.n, n_wanted = p.n_wanted;
    const int32_t *slot = p.slot, *token = p.token, *wanted = p.wanted;
    int32_t local[MOST];
    p.wanted = local;
    for (int64_t from = 0, w = 0; from < n; from += MOST) {
        p.n = n - from < MOST ? n - from : MOST;
        p.slot = slot + from;
        p.token = token + from;
        for (p.n_wanted = 0; w < n_wanted && wanted[w] < from + p.n; w++)
            local[p.n_wanted++] = (int32_t)(wanted[w] - from);
        p.n_runs = 0;
        for (int64_t i = 0; i < p.n; i++)
            if (!i || p.slot[i] != p.slot[i - 1]) p.run[p.n_runs++] = (int32_t)i;
        p.run[p.n_runs] = (int32_t)p.n;
        forward(t, &p);
        p.scores += p.n_wanted * p.m->vocab;
    }
}

static int refuse(const model *m, const state *s, int64_t n, const int32_t *slot, const int32_t *token) {
    for (int64_t i = 0, ahead = 0; i < n; i++) {
        ahead = i && slot[i] == slot[i - 1] ? ahead + 1 : 0;
        if (token[i] < 0 || token[i] >= m->n_vocab) return 1;
        if (m->family == GPT2 && s->lengths[slot[i]] + ahead >= s->blocks * BLOCK) return 2;
    }
    return 0;
}

/* Read n items; scores (n_wanted, vocab) of the wanted ones. 0, or 1 for an id out of range, 2 for a full cache. */
int native_read(team *t, const model *m, const state *s, int64_t n, const int32_t *slot, const int32_t *token,
                int64_t n_wanted, const int32_t *wanted, float *scores) {
    const int fault = refuse(m, s, n, slot, token);
    if (fault) return fault;
    tile_shapes before;
    tiles_begin(&before);
    set_active(t, 1);
    forward_all(t, (pass){.m = m, .s = s, .n = n, .n_wanted = n_wanted, .slot = slot, .token = token, .wanted = wanted,
                          .scores = scores});
    set_active(t, 0);
    tiles_end(&before);
    return 0;
}

typedef struct {
    const model *m;
    const state *s;
    int64_t rows, steps, eos, live;
    const int32_t *limit; /* (rows) tokens a row may still draw, 0 for one at rest */
    const double *uniforms; /* (rows, steps) */
    const float *bias;
    int64_t bias_stride; /* between rows; 0 when they share one */
    const sampling *rules;
    int32_t *token, *drawn, *count; /* (rows) pending; (rows, steps); (rows) */
    float *log_probability;         /* (rows, steps) */
    double *rest;                   /* (rows, steps) what is left of the uniform numbers */
    float *scores, *room;           /* (rows, vocab), those of the live rows first; (threads, 3, vocab) */
    int32_t *slot, *reading, *index; /* (rows) of the live rows */
} request;

static void gather_live(request *q) {
    q->live = 0;
    for (int64_t r = 0; r < q->rows; r++) {
        const int32_t n = q->count[r];
        if (n >= q->limit[r] || (n && q->drawn[r * q->steps + n - 1] == q->eos)) continue;
        q->slot[q->live] = (int32_t)r;
        q->reading[q->live] = q->token[r];
        q->index[q->live] = (int32_t)q->live;
        q->live++;
    }
}

static void draw_rows(turn *u, const void *argument, int64_t l) {
    const request *q = argument;
    const int64_t vocab = q->m->vocab;
    do
        for (int64_t i = u->chunk; i < q->live; i += MOST_CHUNKS) {
            const int64_t r = q->slot[i], at = r * q->steps + q->count[r]++;
            q->token[r] = choose(q->m, q->scores + i * vocab, q->bias + r * q->bias_stride, NULL, q->rules,
                                 q->uniforms[at], q->room + u->me * 3 * vocab, q->log_probability + at, q->rest + at);
            q->drawn[at] = q->token[r];
        }
    while (another(u));
    (void)l;
}

static void run(team *t, request *q, int first_end) {
    for (int64_t step = 0; step < q->steps; step++) {
        const int64_t before = q->live;
        gather_live(q);
        if (!q->live || (first_end && step && q->live < before)) return;
        forward_all(t, (pass){.m = q->m, .s = q->s, .n = q->live, .n_wanted = q->live, .slot = q->slot,
                              .token = q->reading, .wanted = q->index, .scores = q->scores});
        phase(t, draw_rows, q, 0, q->live < MOST_CHUNKS ? q->live : MOST_CHUNKS);
    }
}

/* Draw up to `steps` tokens in each row, each row until eos or its limit; with first_end, return when a row ended.
 * scores (rows, vocab): those of the last step stay there, the rows that drew in it first. */
int native_run(team *t, const model *m, const state *s, int64_t rows, int64_t steps, int64_t eos, int64_t first_end,
               const int32_t *limit, const double *uniforms, const float *bias, int64_t bias_stride,
               const sampling *rules, int32_t *token, int32_t *drawn, int32_t *count, float *log_probability,
               double *rest, float *scores) {
    request q = {.m = m, .s = s, .rows = rows, .steps = steps, .eos = eos, .limit = limit, .uniforms = uniforms,
                 .bias = bias, .bias_stride = bias_stride, .rules = rules, .token = token, .drawn = drawn,
                 .count = count, .log_probability = log_probability, .rest = rest, .scores = scores};
    for (int64_t r = 0; r < rows; r++) {
        const int64_t reads = limit[r] < steps ? limit[r] : steps;
        if (reads && (token[r] < 0 || token[r] >= m->n_vocab)) return 1;
        if (m->family == GPT2 && s->lengths[r] + reads > s->blocks * BLOCK) return 2;
    }
    q.room = aligned_alloc(64, sizeof(float) * 3 * t->n * m->vocab);
    q.slot = malloc(sizeof(int32_t) * 3 * rows);
    if (q.room && q.slot) {
        q.reading = q.slot + rows;
        q.index = q.reading + rows;
        tile_shapes before;
        tiles_begin(&before);
        set_active(t, 1);
        run(t, &q, first_end != 0);
        set_active(t, 0);
        tiles_end(&before);
    }
    const int fault = q.room && q.slot ? 0 : 3;
    free(q.room);
    free(q.slot);
    return fault;
}

/* Slot 0 reads n tokens, of which all but the first are guesses; scores (n, vocab). 0 or the fault. */
int64_t native_ahead_read(team *t, const model *m, const state *s, const ahead *a, int64_t n, const int32_t *token,
                          float *scores) {
    static const int32_t slots[MOST_AHEAD], places[MOST_AHEAD] = {0, 1, 2, 3};
    const int fault = n > MOST_AHEAD ? 3 : refuse(m, s, n, slots, token);
    if (fault) return fault;
    tile_shapes before;
    tiles_begin(&before);
    set_active(t, 1);
    forward_all(t, (pass){.m = m, .s = s, .a = m->family == GPT2 ? NULL : a, .n = n, .n_wanted = n, .slot = slots,
                          .token = token, .wanted = places, .scores = scores});
    set_active(t, 0);
    tiles_end(&before);
    return 0;
}

/* Undo all but the first `kept` of the n tokens that were read. */
void native_ahead_keep(const model *m, const state *s, ahead *a, int64_t n, int64_t kept) {
    s->lengths[0] -= (int32_t)(n - kept);
    if (m->family == GPT2) return;
    float *const window = a->window[0], *const rows = a->rows[0];
    a->window[0] = a->window[kept];
    a->window[kept] = window;
    a->rows[0] = a->rows[1];
    a->rows[1] = rows;
    a->n_held = kept;
}

/* Read n tokens, draw after each while the guess that follows is what was drawn, and undo the rest. uniforms, drawn,
 * log_probability (n); room (3, vocab). Returns how many were drawn, or minus the fault. */
int64_t native_ahead(team *t, const model *m, const state *s, ahead *a, int64_t n, const int32_t *token, int64_t eos,
                     const double *uniforms, const float *bias, const sampling *rules, int32_t *drawn,
                     float *log_probability, float *scores, float *room) {
    double rest;
    const int64_t fault = native_ahead_read(t, m, s, a, n, token, scores);
    if (fault) return -fault;
    int64_t kept = 0;
    for (int is_guessed = 1; is_guessed;) {
        const int32_t got = choose(m, scores + kept * m->vocab, bias, NULL, rules, uniforms[kept], room,
                                   log_probability + kept, &rest);
        drawn[kept++] = got;
        is_guessed = got != eos && kept < n && token[kept] == got;
    }
    native_ahead_keep(m, s, a, n, kept);
    return kept;
}

/* Make `a` follow the state, before native_ahead is called. */
void native_ahead_begin(const model *m, const state *s, ahead *a, int64_t window_size) {
    a->n_held = 0;
    if (m->family != GPT2) memcpy(a->window[0], s->window, sizeof(float) * window_size);
}

/* Bring the state to where native_ahead has read; window_size: numbers of a slot's window. */
void native_ahead_end(team *t, const model *m, const state *s, ahead *a, int64_t window_size) {
    if (m->family == GPT2) return;
    set_active(t, 1);
    const pass p = {.m = m, .s = s, .a = a};
    for (int64_t l = 0; l < m->n_layer; l++) {
        if (m->family == MAMBA) phase(t, mamba_scan, &p, l, m->layers[l].out2.panels);
        else phase(t, mamba2_scan, &p, l, m->n_head);
    }
    set_active(t, 0);
    a->n_held = 0;
    memcpy(s->window, a->window[0], sizeof(float) * window_size);
}

/* One row drawn from scores (vocab) among the tokens that are allowed (vocab; NULL: all). */
int32_t native_choose(const model *m, const float *scores, const float *bias, const uint8_t *allowed,
                      const sampling *rules, double uniform, float *room, float *log_probability, double *rest) {
    return choose(m, scores, bias, allowed, rules, uniform, room, log_probability, rest);
}

/* For tests: the functions on n values (a multiple of 16). */
void native_function(int64_t which, int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i += W) {
        const vec v = load(x + i);
        store(y + i, which == 0 ? exponential(v) : which == 1 ? gelu(v) : which == 2 ? silu(v) : softplus(v));
    }
}

int64_t native_panel(void) { return PANEL; }

int64_t native_lanes(void) { return W; }

const char *native_instructions(void) {
    if (has_tiles()) return "avx512 bf16 vnni amx";
#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
    return "avx512 bf16 vnni";
#elif defined(__AVX512F__)
    return "avx512";
#elif defined(__AVX2__)
    return "avx2";
#else
    return "portable";
#endif
}
