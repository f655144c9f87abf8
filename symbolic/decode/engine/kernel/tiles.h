/* The matrix unit of a processor (AMX): eight tiles of 16 rows of 64 bytes, one instruction for 16 x 16 sums of 32
 * products. A process asks the system for it once; where there is none, or the system refuses, has_tiles() is 0 and
 * products.h does without.
 */
#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AMX_INT8__) && defined(__AVX512BF16__) && defined(__linux__)
#define TILES 1
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_shapes;

static int has_tiles(void) {
    static atomic_int known = -1;
    if (known < 0) known = !syscall(SYS_arch_prctl, 0x1023, 18); /* ARCH_REQ_XCOMP_PERM, the tiles' contents */
    return known;
}

static void tiles_begin(tile_shapes *before) {
    tile_shapes all = {.palette = 1};
    if (!has_tiles()) return;
    for (int i = 0; i < 8; i++) all.rows[i] = 16, all.bytes[i] = 64;
    _tile_storeconfig(before);
    _tile_loadconfig(&all);
}

/* Leave the unit as another library may have set it. */
static void tiles_end(const tile_shapes *before) {
    if (!has_tiles()) return;
    if (before->palette) _tile_loadconfig(before);
    else _tile_release();
}

#else
#define TILES 0
typedef int tile_shapes;
static int has_tiles(void) { return 0; }
static void tiles_begin(tile_shapes *before) { *before = 0; }
static void tiles_end(const tile_shapes *before) { (void)before; }
#endif
