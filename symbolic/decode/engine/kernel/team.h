/* The threads. The caller's runs the sequence of phases; a phase is chunks (a panel, a head, a row) that the team claims
 * one by one. A thread that the system has taken off its core holds up only the chunk it has claimed: with a barrier for
 * all after each phase, an oversubscribed machine ran at a twentieth of one thread's speed. The team sleeps between
 * calls. It also owns the work space: rows that phases hand on, and rows private to a thread.
 */
#include <pthread.h>
#include <sched.h>

enum { BLOCK = 64, MOST = 64, MOST_THREADS = 64, MOST_CHUNKS = 1024 };

typedef struct team team;
typedef struct {
    team *t;
    int64_t me, chunk, chunks; /* chunks: known in a team of one */
    uint32_t phase;
} turn; /* what a thread holds while it works on a phase */
typedef void phase_work(turn *, const void *, int64_t);

struct team {
    int64_t n, widest, positions;
    float *x, *wide, *wide2, *narrow, *private;
    phase_work *work; /* the phase: what to do, with what, in which layer */
    const void *argument;
    int64_t layer;
    pthread_t ids[MOST_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int64_t asleep;
    atomic_int active, stop;
    _Alignas(64) _Atomic uint64_t ticket; /* number of the phase << 32 | its chunks << 16 | the next of them */
    _Alignas(64) atomic_long done;
};

/* Claim the next chunk of the phase, or find it over. */
INLINE int claim(turn *u) {
    uint64_t seen = atomic_load_explicit(&u->t->ticket, memory_order_acquire);
    while (seen >> 32 == u->phase && (seen & 0xffff) < (seen >> 16 & 0xffff)) {
        u->chunk = (int64_t)(seen & 0xffff);
        if (atomic_compare_exchange_weak_explicit(&u->t->ticket, &seen, seen + 1, memory_order_acq_rel,
                                                  memory_order_acquire))
            return 1;
    }
    return 0;
}

/* Hand in the chunk that is held, claim another. */
INLINE int another(turn *u) {
    if (u->t->n == 1) return ++u->chunk < u->chunks;
    atomic_fetch_add_explicit(&u->t->done, 1, memory_order_release);
    return claim(u);
}

/* Do all chunks of a phase with the whole team; called by the caller's thread only. */
static void phase(team *t, phase_work *work, const void *argument, int64_t layer, int64_t chunks) {
    const uint32_t number = (uint32_t)(atomic_load_explicit(&t->ticket, memory_order_relaxed) >> 32) + 1;
    turn u = {t, 0, 0, chunks, number};
    if (!chunks) return;
    t->work = work;
    t->argument = argument;
    t->layer = layer;
    if (t->n == 1) return work(&u, argument, layer);
    atomic_store_explicit(&t->done, 0, memory_order_relaxed);
    atomic_store_explicit(&t->ticket, (uint64_t)number << 32 | (uint64_t)chunks << 16, memory_order_release);
    if (claim(&u)) work(&u, argument, layer);
    for (long spins = 0; atomic_load_explicit(&t->done, memory_order_acquire) < chunks; spins++) {
        if (spins < 4000) PAUSE();
        else sched_yield(); /* another process may hold the core that is waited for */
    }
}

typedef struct {
    team *t;
    int64_t me;
} member;

static void sleep_between_calls(team *t) {
    pthread_mutex_lock(&t->lock);
    t->asleep++;
    while (!atomic_load(&t->active) && !atomic_load(&t->stop)) pthread_cond_wait(&t->wake, &t->lock);
    t->asleep--;
    pthread_mutex_unlock(&t->lock);
}

static void *member_loop(void *argument) {
    turn u = {((member *)argument)->t, ((member *)argument)->me, 0, 0, 0};
    tile_shapes before;
    free(argument);
    tiles_begin(&before);
    for (long spins = 0; !atomic_load_explicit(&u.t->stop, memory_order_relaxed); spins++) {
        u.phase = (uint32_t)(atomic_load_explicit(&u.t->ticket, memory_order_acquire) >> 32);
        if (claim(&u)) {
            u.t->work(&u, u.t->argument, u.t->layer);
            spins = 0;
        } else if (spins < 4000) PAUSE();
        else if (atomic_load_explicit(&u.t->active, memory_order_relaxed)) sched_yield();
        else {
            tiles_end(&before);
            sleep_between_calls(u.t);
            tiles_begin(&before);
        }
    }
    tiles_end(&before);
    return NULL;
}

static void set_active(team *t, int active) {
    if (t->n == 1) return;
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->active, active);
    if (t->asleep && active) pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
}

void team_free(team *t) {
    atomic_store(&t->stop, 1);
    set_active(t, 1);
    for (int64_t i = 1; i < t->n; i++) pthread_join(t->ids[i], NULL);
    free(t->x);
    free(t);
}

/* widest: the longest row of numbers that any phase writes; positions: the longest row of attention weights. */
team *team_new(int64_t threads, int64_t widest, int64_t positions) {
    team *t = aligned_alloc(64, (sizeof(team) + 63) / 64 * 64);
    if (!t) return NULL;
    memset(t, 0, sizeof *t);
    t->widest = widest;
    t->positions = (positions + BLOCK - 1) / BLOCK * BLOCK;
    const int64_t shared = MOST * widest, private = 3 * shared + MOST * W + t->positions;
    threads = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
    t->x = aligned_alloc(64, sizeof(float) * (4 * shared + threads * private));
    if (!t->x) return free(t), NULL;
    memset(t->x, 0, sizeof(float) * (4 * shared + threads * private));
    t->wide = t->x + shared;
    t->wide2 = t->wide + shared;
    t->narrow = t->wide2 + shared;
    t->private = t->narrow + shared;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    for (t->n = 1; t->n < threads; t->n++) {
        member *who = malloc(sizeof *who);
        if (!who) break;
        *who = (member){t, t->n};
        if (pthread_create(&t->ids[t->n], NULL, member_loop, who)) {
            free(who);
            break;
        }
    }
    return t;
}

int64_t team_size(const team *t) { return t->n; }

INLINE float *private_rows(const team *t, int64_t me) {
    return t->private + me * (3 * MOST * t->widest + MOST * W + t->positions);
}
INLINE float *private_words(const team *t, int64_t me) { return private_rows(t, me) + MOST * t->widest; }
INLINE float *private_scales(const team *t, int64_t me) { return private_words(t, me) + 2 * MOST * t->widest; }
INLINE float *private_weights(const team *t, int64_t me) { return private_scales(t, me) + MOST * W; }
