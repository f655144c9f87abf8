/* Mamba and Mamba-2: the convolution's window and the recurrence. */
/* Begin to read what will be read next. */
INLINE void fetch_ahead(const float *h) {
    for (int64_t i = 0; i < AHEAD; i++) PREFETCH(h + i * W);
}

/* The window of a pass's item, before it or after. */
INLINE float *window_of(const pass *p, int64_t l, int64_t channels, int64_t i, int after) {
    const int64_t size = channels * (p->m->conv - 1);
    if (p->a) return p->a->window[i + after] + l * size;
    return p->s->window + (p->slot[i] * p->m->n_layer + l) * size;
}

/* x <- silu(conv(x)) in place for a panel of channels from `from` on, remembering the inputs; channel 0 of the
 * convolution is x's column `start`. */
static void convolve(const pass *p, const layer *y, int64_t l, float *x, int64_t stride, int64_t start,
                     int64_t channels, int64_t from) {
    const int64_t memory = p->m->conv - 1;
    for (int64_t i = 0; i < p->n; i++) {
        const float *before = window_of(p, l, channels, i, 0) + from * memory;
        float *after = window_of(p, l, channels, i, 1) + from * memory, *row = x + i * stride + start;
        for (int64_t c = from; c < from + PANEL; c += W, before += W, after += W) {
            const vec in = load(row + c);
            vec v = load(y->conv_bias + c) + load(y->conv + memory * channels + c) * in;
            for (int64_t k = 0; k < memory; k++) {
                const vec past = load(before + k * PANEL);
                v += load(y->conv + k * channels + c) * past;
                if (k) store(after + (k - 1) * PANEL, past);
            }
            store(after + (memory - 1) * PANEL, in);
            store(row + c, silu(v));
        }
    }
}

/* Panels of the input projection, and the convolution of those of its columns that are channels of it. */
INLINE void project_in(turn *u, const pass *p, int64_t l, int64_t start, int64_t channels) {
    const layer *y = p->m->layers + l;
    const int64_t stride = y->in.panels * PANEL;
    const operand x = normalised(u, p, y->norm, NULL, &y->in);
    do {
        const int64_t from = u->chunk * PANEL - start;
        multiply(&y->in, x, p->n, u->chunk, u->t->wide, stride, STORE);
        if (from >= 0 && from < channels) convolve(p, y, l, u->t->wide, stride, start, channels, from);
    } while (another(u));
}

/* One item of a panel of channels: h <- exp(delta A) h + delta x B, then dt <- (C h + D x) silu(z). Not inlined: its
 * roundings are the same wherever it is called from. */
#define SCAN_ITEM(NAME, STATES)                                                                                        \
    static __attribute__((noinline)) void NAME(const pass *p, const layer *y, int64_t panel, const float *wide,        \
                                               const float *B, float *dt, float *h) {                                  \
        const int64_t D = p->m->inner, N = STATES;                                                                     \
        const float *A = y->A + panel * PANEL * N, *C = B + N;                                                         \
        for (int64_t c = panel * PANEL; c < (panel + 1) * PANEL; c += W, dt += W) {                                    \
            const vec x = load(wide + c), z = load(wide + D + c);                                                      \
            const vec delta = softplus(load(dt)), step = delta * x;                                                    \
            vec out = load(y->D + c) * x;                                                                              \
            for (int64_t n = 0; n < N; n++, h += W, A += W) {                                                          \
                PREFETCH(h + AHEAD * W);                                                                               \
                const vec next = exponential(delta * load(A)) * load(h) + step * B[n];                                 \
                store(h, next);                                                                                        \
                out += next * C[n];                                                                                    \
            }                                                                                                          \
            store(dt, out * silu(z));                                                                                  \
        }                                                                                                              \
    }
SCAN_ITEM(scan_item_of_16, 16)
SCAN_ITEM(scan_item_of_any, p->m->n_state)
#undef SCAN_ITEM

static void scan_item(const pass *p, const layer *y, int64_t panel, const float *wide, const float *B, float *dt,
                      float *h) {
    if (p->m->n_state == 16) scan_item_of_16(p, y, panel, wide, B, dt, h);
    else scan_item_of_any(p, y, panel, wide, B, dt, h);
}

/* All items of a panel of channels; maps holds B and C from p->m->maps on. dt (n, inner) -> y. */
static void scan(const pass *p, const layer *y, int64_t l, int64_t panel, const float *wide, const float *maps,
                 int64_t stride, float *dt) {
    const int64_t D = p->m->inner, N = p->m->n_state, L = p->m->n_layer, from = panel * PANEL;
    for (int64_t i = 0; i < p->n; i++) {
        float *h = p->s->recurrence + ((p->slot[i] * L + l) * D + from) * N;
        if (i + 1 < p->n) fetch_ahead(p->s->recurrence + ((p->slot[i + 1] * L + l) * D + from) * N);
        scan_item(p, y, panel, wide + i * 2 * D, maps + i * stride + p->m->maps, dt + i * D + from, h);
    }
}

/* The same where items may be undone. A held row: x and z (2 inner), delta (inner), B and C. */
static void scan_ahead(const pass *p, const layer *y, int64_t l, int64_t panel, const float *wide, const float *maps,
                       int64_t stride, float *dt) {
    const int64_t D = p->m->inner, N = p->m->n_state, from = panel * PANEL, held = p->a->stride;
    float *h = p->s->recurrence + (l * D + from) * N;
    float copy[PANEL * N] __attribute__((aligned(64))), delta[PANEL] __attribute__((aligned(64)));
    for (int64_t j = 0; j < p->a->n_held; j++) {
        const float *row = p->a->rows[0] + (l * MOST_AHEAD + j) * held;
        memcpy(delta, row + 2 * D + from, sizeof delta);
        scan_item(p, y, panel, row, row + 3 * D, delta, h);
    }
    if (p->n) memcpy(copy, h, sizeof copy);
    for (int64_t i = 0; i < p->n; i++) {
        float *row = p->a->rows[1] + (l * MOST_AHEAD + i) * held;
        const float *x = wide + i * 2 * D, *B = maps + i * stride + p->m->maps;
        memcpy(row + from, x + from, sizeof(float) * PANEL);
        memcpy(row + D + from, x + D + from, sizeof(float) * PANEL);
        memcpy(row + 2 * D + from, dt + i * D + from, sizeof(float) * PANEL);
        if (!panel) memcpy(row + 3 * D, B, sizeof(float) * 2 * N);
        scan_item(p, y, panel, x, B, dt + i * D + from, copy);
    }
}

static void mamba_in(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    project_in(u, p, l, 0, p->m->inner);
}

static void mamba_maps(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = operand_of(u, &y->in2, u->t->wide, y->in.panels * PANEL, p->n);
    multiply_share(u, &y->in2, x, p->n, u->t->wide2, y->in2.panels * PANEL, STORE);
}

static void mamba_scan(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const team *t = u->t;
    const int64_t maps = y->in2.panels * PANEL;
    const operand dt = operand_of(u, &y->out2, t->wide2, maps, p->n);
    do {
        multiply(&y->out2, dt, p->n, u->chunk, t->narrow, p->m->inner, STORE);
        if (p->a) scan_ahead(p, y, l, u->chunk, t->wide, t->wide2, maps, t->narrow);
        else scan(p, y, l, u->chunk, t->wide, t->wide2, maps, t->narrow);
    } while (another(u));
}

/* wide: x and z (n, 2 D); wide2: dt, B, C; narrow: delta, then y (n, D). */
static void mamba_layer(team *t, const pass *p, int64_t l) {
    const layer *y = p->m->layers + l;
    phase(t, mamba_in, p, l, y->in.panels);
    phase(t, mamba_maps, p, l, y->in2.panels);
    phase(t, mamba_scan, p, l, y->out2.panels);
    phase(t, project_out, p, l, y->out.panels);
}

/* One head of one item: h (N, P) <- decay h + delta x B, y = C h + D x, V vectors of P at a time. */
INLINE void head_step(int V, int64_t N, int64_t P, float decay, float delta, const float *x, const float *B,
                      const float *C, const float *D, float *h, float *y) {
    vec step[V], out[V];
    for (int v = 0; v < V; v++) {
        step[v] = delta * load(x + v * W);
        out[v] = load(D + v * W) * load(x + v * W);
    }
    for (int64_t n = 0; n < N; n++)
        for (int v = 0; v < V; v++) {
            PREFETCH(h + n * P + (v + AHEAD) * W);
            const vec next = decay * load(h + n * P + v * W) + B[n] * step[v];
            store(h + n * P + v * W, next);
            out[v] += C[n] * next;
        }
    for (int v = 0; v < V; v++) store(y + v * W, out[v]);
}

/* One item of a head, from its row of the input projection: x (D), B, C (groups of N each, padded), dt (heads). Not
 * inlined: its roundings are the same wherever it is called from. */
static __attribute__((noinline)) void head_item(const pass *p, const layer *y, int64_t head, const float *row, float *h,
                                                float *out) {
    const int64_t D = p->m->inner, P = p->m->head, N = p->m->n_state, group = head / (p->m->n_head / p->m->groups);
    const float *x = row + head * P, *B = row + D + group * N, *C = B + p->m->maps, dt = row[D + 2 * p->m->maps + head];
    const float delta = softplus(splat(dt))[0], decay = exponential(splat(delta * y->A[head]))[0];
    int64_t c = 0;
    for (; c + 4 * W <= P; c += 4 * W)
        head_step(4, N, P, decay, delta, x + c, B, C, y->D + head * P + c, h + c, out + c);
    for (; c + 2 * W <= P; c += 2 * W)
        head_step(2, N, P, decay, delta, x + c, B, C, y->D + head * P + c, h + c, out + c);
    for (; c < P; c += W) head_step(1, N, P, decay, delta, x + c, B, C, y->D + head * P + c, h + c, out + c);
}

/* All items of one head. Columns of wide: z (D), then a head_item's row. */
static void scan_head(const pass *p, const layer *y, int64_t l, int64_t head, const float *wide, int64_t stride,
                      float *out) {
    const int64_t D = p->m->inner, P = p->m->head, N = p->m->n_state, H = p->m->n_head, L = p->m->n_layer;
    for (int64_t i = 0; i < p->n; i++) {
        float *h = p->s->recurrence + ((p->slot[i] * L + l) * H + head) * N * P;
        if (i + 1 < p->n) fetch_ahead(p->s->recurrence + ((p->slot[i + 1] * L + l) * H + head) * N * P);
        head_item(p, y, head, wide + i * stride + D, h, out + i * D + head * P);
    }
}

/* The same where items may be undone; a held row is a head_item's. */
static void scan_head_ahead(const pass *p, const layer *y, int64_t l, int64_t head, const float *wide, int64_t stride,
                            float *out) {
    const int64_t D = p->m->inner, P = p->m->head, N = p->m->n_state, held = p->a->stride;
    float *h = p->s->recurrence + (l * p->m->n_head + head) * N * P;
    float copy[N * P] __attribute__((aligned(64))), unused[P] __attribute__((aligned(64)));
    for (int64_t j = 0; j < p->a->n_held; j++)
        head_item(p, y, head, p->a->rows[0] + (l * MOST_AHEAD + j) * held, h, unused);
    if (p->n) memcpy(copy, h, sizeof copy);
    for (int64_t i = 0; i < p->n; i++) {
        float *row = p->a->rows[1] + (l * MOST_AHEAD + i) * held;
        const float *in = wide + i * stride + D;
        memcpy(row + head * P, in + head * P, sizeof(float) * P);
        if (!head) memcpy(row + D, in + D, sizeof(float) * (stride - 2 * D));
        head_item(p, y, head, in, copy, out + i * D + head * P);
    }
}

/* norm(y silu(z)), the mean square over each group of channels. */
static void gated_norm(const pass *p, const layer *y, const float *in, const float *z, float *out) {
    const int64_t size = p->m->n_head / p->m->groups * p->m->head;
    for (int64_t g = 0; g < p->m->groups; g++) {
        vec squares = splat(0);
        for (int64_t c = g * size; c < (g + 1) * size; c += W) {
            const vec v = load(in + c) * silu(load(z + c));
            squares += v * v;
            store(out + c, v);
        }
        const float scale = 1.0f / sqrtf(sum(squares) / (float)(p->m->n_inner / p->m->groups) + 1e-5f);
        for (int64_t c = g * size; c < (g + 1) * size; c += W)
            store(out + c, load(out + c) * scale * load(y->norm2 + c));
    }
}

static void mamba2_in(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    project_in(u, p, l, p->m->inner, p->m->inner + 2 * p->m->maps);
}

static void mamba2_scan(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const int64_t stride = y->in.panels * PANEL;
    do {
        if (p->a) scan_head_ahead(p, y, l, u->chunk, u->t->wide, stride, u->t->narrow);
        else scan_head(p, y, l, u->chunk, u->t->wide, stride, u->t->narrow);
    } while (another(u));
}

static void mamba2_out(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const int64_t D = p->m->inner, stride = y->in.panels * PANEL;
    float *rows = private_rows(u->t, u->me);
    for (int64_t i = 0; i < p->n; i++) gated_norm(p, y, u->t->narrow + i * D, u->t->wide + i * stride, rows + i * D);
    multiply_share(u, &y->out, operand_of(u, &y->out, rows, D, p->n), p->n, u->t->x, p->m->embd, ADD);
}

static void mamba2_layer(team *t, const pass *p, int64_t l) {
    const layer *y = p->m->layers + l;
    phase(t, mamba2_in, p, l, y->in.panels);
    phase(t, mamba2_scan, p, l, p->m->n_head);
    phase(t, mamba2_out, p, l, y->out.panels);
}
