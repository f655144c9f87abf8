/* GPT-2. The cache holds keys in blocks of BLOCK positions, transposed (channel, position); values as pairs of positions
 * in bfloat16, as rows in float32. */
INLINE void append(int kind, void *keys, void *values, int64_t at, int64_t F, const float *k, const float *v) {
    const int64_t block = at / BLOCK * BLOCK * F, lane = at % BLOCK;
    for (int64_t f = 0; f < F; f++) {
        if (kind == FLOAT32) {
            ((float *)keys)[block + f * BLOCK + lane] = k[f];
            ((float *)values)[at * F + f] = v[f];
        } else {
            ((uint16_t *)keys)[block + (f / 2 * BLOCK + lane) * 2 + f % 2] = to_bfloat16(k[f]);
            ((uint16_t *)values)[(at / 2 * F + f) * 2 + at % 2] = to_bfloat16(v[f]);
        }
    }
}

/* weights[i] = q . key i, for whole blocks. */
INLINE void agreements(int kind, const float *q, const void *keys, int64_t blocks, int64_t F, float *weights) {
    enum { V = BLOCK / W };
    const ivec *k = keys;
    for (int64_t b = 0; b < blocks; b++) {
        vec a[V] = {splat(0), splat(0), splat(0), splat(0)};
        if (kind == FLOAT32) {
            for (int64_t f = 0; f < F; f++, k += V)
                for (int v = 0; v < V; v++) {
                    PREFETCH(k + v + AHEAD);
                    a[v] += q[f] * (vec)k[v];
                }
        } else {
            for (int64_t f = 0; f < F; f += 2, k += V)
                for (int v = 0; v < V; v++) {
                    PREFETCH(k + v + AHEAD);
                    a[v] += q[f] * low_half(k[v]);
                    a[v] += q[f + 1] * high_half(k[v]);
                }
        }
        for (int v = 0; v < V; v++) store(weights + b * BLOCK + v * W, a[v]);
    }
}

/* Turn n scores into e^(score - largest), 0 beyond n up to whole blocks; returns their sum. */
INLINE float softmax_weights(float *weights, int64_t n, int64_t blocks) {
    for (int64_t i = n; i < blocks * BLOCK; i++) weights[i] = -INFINITY;
    vec most = load(weights), total = splat(0);
    for (int64_t i = W; i < blocks * BLOCK; i += W) most = larger(most, load(weights + i));
    const float top = largest(most);
    for (int64_t i = 0; i < blocks * BLOCK; i += W) {
        const vec e = exponential(load(weights + i) - top);
        total += e;
        store(weights + i, e);
    }
    return sum(total);
}

/* y = scale sum_i weights[i] value i, for V vectors of channels. */
INLINE void mixture(int kind, int V, const float *weights, const void *values, int64_t n, int64_t F, int64_t f,
                    float scale, float *y) {
    vec even[4] = {splat(0), splat(0), splat(0), splat(0)}, odd[4] = {splat(0), splat(0), splat(0), splat(0)};
    for (int64_t i = 0; i < n; i += 2) {
        const float *row = (const float *)values + (kind == FLOAT32 ? i : i / 2) * F + f;
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            PREFETCH(row + (v + AHEAD) * W);
            if (kind == FLOAT32) PREFETCH(row + F + (v + AHEAD) * W);
            const ivec pair = iload(row + v * W);
            even[v] += weights[i] * (kind == FLOAT32 ? (vec)pair : low_half(pair));
            odd[v] += weights[i + 1] * (kind == FLOAT32 ? load(row + F + v * W) : high_half(pair));
        }
    }
    for (int v = 0; v < V; v++) store(y + f + v * W, scale * (even[v] + odd[v]));
}

/* `next`: the keys that will be read after these values. */
INLINE void attend(int kind, int64_t F, const float *q, const void *keys, const void *values, int64_t n,
                   const void *next, float *weights, float *y) {
    const int64_t blocks = (n + BLOCK - 1) / BLOCK;
    for (int64_t i = 0; i < AHEAD; i++) PREFETCH((const vec *)values + i);
    agreements(kind, q, keys, blocks, F, weights);
    for (int64_t i = 0; i < AHEAD; i++) PREFETCH((const vec *)next + i);
    const float scale = 1.0f / softmax_weights(weights, n, blocks);
    int64_t f = 0;
    for (; f + 4 * W <= F; f += 4 * W) mixture(kind, 4, weights, values, n, F, f, scale, y);
    for (; f + 2 * W <= F; f += 2 * W) mixture(kind, 2, weights, values, n, F, f, scale, y);
    for (; f < F; f += W) mixture(kind, 1, weights, values, n, F, f, scale, y);
}

/* Items from..to are consecutive tokens of one slot; qkv (n, stride) holds q, k, v of all heads. */
INLINE void attend_items(const pass *p, int kind, int64_t F, int64_t l, int64_t h, int64_t from, int64_t to,
                         int64_t threads, const float *qkv, int64_t stride, float *weights, float *y,
                         int64_t y_stride) {
    const int64_t inner = p->m->n_head * F, size = kind == FLOAT32 ? 4 : 2, slot = p->slot[from];
    const int64_t one = p->s->blocks * BLOCK * F, next = threads * one;
    const int64_t place = ((slot * p->m->n_layer + l) * p->m->n_head + h) * one * size;
    char *keys = (char *)p->s->keys + place, *values = (char *)p->s->values + place;
    float q[F] __attribute__((aligned(64)));
    for (int64_t i = from; i < to; i++) {
        const float *in = qkv + i * stride + h * F;
        const int64_t at = p->s->lengths[slot] + i - from;
        append(kind, keys, values, at, F, in + inner, in + 2 * inner);
        for (int64_t f = 0; f < F; f++) q[f] = in[f] * p->m->query_scale;
        attend(kind, F, q, keys, values, at + 1, keys + next * size, weights, y + i * y_stride + h * F);
    }
}

/* A chunk is a head of a run of items of one slot. */
static void gpt2_attention(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const int64_t H = p->m->n_head, stride = p->m->layers[l].in.panels * PANEL;
    float *weights = private_weights(u->t, u->me);
    do {
        const int64_t h = u->chunk % H, from = p->run[u->chunk / H], to = p->run[u->chunk / H + 1];
#define ATTEND(KIND, F) \
    attend_items(p, KIND, F, l, h, from, to, u->t->n, u->t->wide, stride, weights, u->t->narrow, p->m->inner)
        if (p->m->cache == FLOAT32 && p->m->head == 64) ATTEND(FLOAT32, 64);
        else if (p->m->cache == FLOAT32) ATTEND(FLOAT32, p->m->head);
        else if (p->m->head == 64) ATTEND(BFLOAT16, 64);
        else ATTEND(BFLOAT16, p->m->head);
#undef ATTEND
    } while (another(u));
}

static void gpt2_qkv(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = normalised(u, p, y->norm, y->norm_bias, &y->in);
    multiply_share(u, &y->in, x, p->n, u->t->wide, y->in.panels * PANEL, STORE);
}

static void gpt2_widen(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = normalised(u, p, y->norm2, y->norm2_bias, &y->in2);
    multiply_share(u, &y->in2, x, p->n, u->t->wide, y->in2.panels * PANEL, GELU);
}

static void gpt2_narrow(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = operand_of(u, &y->out2, u->t->wide, y->in2.panels * PANEL, p->n);
    multiply_share(u, &y->out2, x, p->n, u->t->x, p->m->embd, ADD);
}

/* narrow (n, inner) -> the residual stream, through the layer's output projection. */
static void project_out(turn *u, const void *argument, int64_t l) {
    const pass *p = argument;
    const layer *y = p->m->layers + l;
    const operand x = operand_of(u, &y->out, u->t->narrow, p->m->inner, p->n);
    multiply_share(u, &y->out, x, p->n, u->t->x, p->m->embd, ADD);
}

/* wide: q, k, v of all heads (n, 3 inner), then the MLP's (n, 4 E); narrow: the heads' outputs. */
static void gpt2_layer(team *t, const pass *p, int64_t l) {
    const layer *y = p->m->layers + l;
    phase(t, gpt2_qkv, p, l, y->in.panels);
    phase(t, gpt2_attention, p, l, p->n_runs * p->m->n_head);
    phase(t, project_out, p, l, y->out.panels);
    phase(t, gpt2_widen, p, l, y->in2.panels);
    phase(t, gpt2_narrow, p, l, y->out2.panels);
}
