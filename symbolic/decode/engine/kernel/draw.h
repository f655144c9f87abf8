/* Drawing a token: the rules and their order are those of symbolic/decode/engine/sampling.py. */
typedef struct {
    float temperature, top_p, log_min_p; /* temperature 0: greedy; top_p 1, log_min_p -inf: off */
    int64_t top_k;                       /* 0: off */
} sampling;

/* e^(x - largest) into e; returns the sum. */
INLINE float exponentials(const float *x, int64_t n, float top, float *e) {
    vec total = splat(0);
    for (int64_t i = 0; i < n; i += W) {
        const vec v = exponential(load(x + i) - top);
        total += v;
        store(e + i, v);
    }
    return sum(total);
}

INLINE float top_of(const float *x, int64_t n) {
    vec most = load(x);
    for (int64_t i = W; i < n; i += W) most = larger(most, load(x + i));
    return largest(most);
}

INLINE void keep_from(float *x, const float *by, int64_t n, float least) {
    for (int64_t i = 0; i < n; i += W)
        store(x + i, choice(load(by + i) >= splat(least), load(x + i), splat(-INFINITY)));
}

INLINE void sink(float *heap, int64_t n, int64_t i) {
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] > heap[child]) child++;
        if (heap[i] >= heap[child]) return;
        const float held = heap[i];
        heap[i] = heap[child];
        heap[child] = held;
    }
}

/* The values of x that are `least` or more, as a heap with the largest on top; returns how many. */
INLINE int64_t heap_of(const float *x, int64_t n, float least, float *heap) {
    int64_t size = 0;
    for (int64_t i = 0; i < n; i++) {
        heap[size] = x[i];
        size += x[i] >= least;
    }
    for (int64_t i = size / 2 - 1; i >= 0; i--) sink(heap, size, i);
    return size;
}

INLINE void pop(float *heap, int64_t *size) {
    heap[0] = heap[--*size];
    sink(heap, *size, 0);
}

static void keep_top_k(float *x, int64_t n, int64_t n_real, int64_t k, float *heap) {
    int64_t size = heap_of(x, n_real, -INFINITY, heap);
    for (k = k < n_real ? k : n_real; k > 1; k--) pop(heap, &size);
    keep_from(x, x, n, heap[0]);
}

/* The largest probabilities up to and including the one that brings their mass to p. Those below half of (1 - p) / n
 * cannot be among them, which leaves few to order. */
static void keep_top_p(float *x, int64_t n, int64_t n_real, float p, float *e, float *heap) {
    const float total = exponentials(x, n, top_of(x, n), e);
    for (int64_t i = 0; i < n; i += W) store(e + i, load(e + i) / total);
    int64_t size = heap_of(e, n_real, 0.5f * (1.0f - p) / (float)n_real, heap);
    float least = heap[0];
    for (double mass = 0; size; pop(heap, &size)) {
        mass += heap[0];
        if ((float)mass - heap[0] >= p) break;
        least = heap[0];
    }
    keep_from(x, e, n, least);
}

static int32_t greedy(const float *x, int64_t n) {
    int32_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = (int32_t)i;
    return best;
}

/* Inverse of the distribution, rounded to steps of 2^-32, at one uniform number. `rest` is where in the token's own share
 * the number lay: uniform, and independent of the token. */
static int32_t draw(const float *x, int64_t n, double uniform, float *e, double *rest) {
    const float total = exponentials(x, n, top_of(x, n), e);
    int64_t mass = 0;
    for (int64_t i = 0; i < n; i++) mass += (int64_t)(e[i] / total * 4294967296.0f);
    const double place = uniform * (double)mass;
    int64_t target = (int64_t)place, seen = 0;
    target = target < mass - 1 ? target : mass - 1;
    for (int32_t i = 0; i < n; i++) {
        const int64_t weight = (int64_t)(e[i] / total * 4294967296.0f);
        if (seen + weight > target) {
            *rest = (place - (double)seen) / (double)weight;
            return i;
        }
        seen += weight;
    }
    return greedy(x, n);
}

/* scores (vocab), bias (vocab: -inf where never drawn), allowed (vocab: 0 where not, or NULL), room for three rows ->
 * token, its log-probability under the scores themselves, and what is left of the uniform number. */
static int32_t choose(const model *m, const float *scores, const float *bias, const uint8_t *allowed,
                      const sampling *rules, double uniform, float *room, float *log_probability, double *rest) {
    const int64_t n = m->vocab, real = m->n_vocab;
    float *x = room, *e = room + n, *heap = e + n;
    for (int64_t i = 0; i < n; i += W) store(x + i, load(scores + i) + load(bias + i));
    if (allowed)
        for (int64_t i = 0; i < real; i++) x[i] = allowed[i] ? x[i] : -INFINITY;
    int32_t token;
    *rest = uniform;
    if (rules->temperature == 0) token = greedy(x, real);
    else {
        if (rules->temperature != 1)
            for (int64_t i = 0; i < n; i += W) store(x + i, load(x + i) / rules->temperature);
        if (rules->top_k) keep_top_k(x, n, real, rules->top_k, heap);
        if (rules->top_p < 1) keep_top_p(x, n, real, rules->top_p, e, heap);
        if (rules->log_min_p > -INFINITY) keep_from(x, x, n, top_of(x, n) + rules->log_min_p);
        token = draw(x, real, uniform, e, rest);
    }
    float top = scores[0], total = 0;
    for (int64_t i = 1; i < real; i++) top = scores[i] > top ? scores[i] : top;
    for (int64_t i = 0; i < n; i += W) store(x + i, load(scores + i));
    for (int64_t i = real; i < n; i++) x[i] = -INFINITY;
    total = exponentials(x, n, top, e);
    *log_probability = scores[token] - top - logf(total);
    return token;
}
