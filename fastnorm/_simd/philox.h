/* Which elements dropout keeps: Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011), whose bits are a function of a key
 * and a counter alone. So an element's fate depends on its number, never on what was drawn before it: any thread can
 * start anywhere.
 *
 * Counters lie side by side in the lanes, and their four words are used one after the other, as they come: nothing is
 * transposed.
 */

enum { philox_rounds = 10 };

/* Bit i in the byte that is i-th in memory. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FN_BIT_OF_BYTE 0x0102040810204080
#else
#define FN_BIT_OF_BYTE 0x8040201008040201
#endif

typedef struct {
    uint32_t key[philox_rounds][2], threshold;
    uint64_t group; /* the next one */
    uint64_t bits;  /* left over from the one before: `left` of them, the rest 0 */
    int left;
} philox;

/* A bit for each element of the next group: 1 where it is kept. Not inlined: one copy serves both arithmetic types. */
static __attribute__((noinline)) uint64_t philox_group(philox *state)
{
    const u32_vec multiplier0 = u32_set1(0xd2511f53), multiplier1 = u32_set1(0xcd9e8d57);
    const u32_vec threshold = u32_set1(state->threshold);
    const uint64_t counter = state->group++ * FN_COUNTERS;
    uint64_t bits = 0;
    for (uint32_t lane = 0; lane < FN_COUNTERS; lane += u32_lanes) {
        u32_vec word0 = u32_count((uint32_t)counter + lane), word1 = u32_set1((uint32_t)(counter >> 32));
        u32_vec word2 = u32_set1(0), word3 = word2;
        for (int round = 0; round < philox_rounds; round++) {
            const u32_vec high0 = u32_mul_high(word0, multiplier0), high1 = u32_mul_high(word2, multiplier1);
            const u32_vec low0 = u32_mul_low(word0, multiplier0), low1 = u32_mul_low(word2, multiplier1);
            word0 = u32_xor(high1, word1, u32_set1(state->key[round][0]));
            word2 = u32_xor(high0, word3, u32_set1(state->key[round][1]));
            word1 = low1;
            word3 = low0;
        }
        bits |= (uint64_t)u32_at_least(word0, threshold) << lane;
        bits |= (uint64_t)u32_at_least(word1, threshold) << (FN_COUNTERS + lane);
        bits |= (uint64_t)u32_at_least(word2, threshold) << (2 * FN_COUNTERS + lane);
        bits |= (uint64_t)u32_at_least(word3, threshold) << (3 * FN_COUNTERS + lane);
    }
    return bits;
}

/* The bits of the next n elements, 0 < n <= FN_GROUP; what follows them is unspecified. */
static inline uint64_t philox_take(philox *state, int n)
{
    const int left = state->left, used = n - left; /* of a new group */
    uint64_t bits = state->bits;
    if (used <= 0) {
        state->bits = n < FN_GROUP ? bits >> n : 0;
        state->left = left - n;
        return bits;
    }
    const uint64_t fresh = philox_group(state);
    state->bits = used < FN_GROUP ? fresh >> used : 0;
    state->left = FN_GROUP - used;
    return bits | fresh << left;
}

/* Ready for element `number`. */
static void philox_start(philox *state, uint64_t key, uint32_t threshold, uint64_t number)
{
    uint32_t key0 = (uint32_t)key, key1 = (uint32_t)(key >> 32);
    for (int round = 0; round < philox_rounds; round++, key0 += 0x9e3779b9, key1 += 0xbb67ae85) {
        state->key[round][0] = key0;
        state->key[round][1] = key1;
    }
    state->threshold = threshold;
    state->group = number / FN_GROUP;
    state->bits = 0;
    state->left = 0;
    if (number % FN_GROUP)
        philox_take(state, (int)(number % FN_GROUP));
}

/* The first n bits as a byte each, 0 or 1, eight at a time: bit i is isolated in byte i, and a carry moves it to where
 * the shift finds it. */
static __attribute__((noinline)) void philox_store(uint8_t *mask, uint64_t bits, int n)
{
    uint8_t bytes[FN_GROUP];
    for (int i = 0; i < FN_GROUP; i += 8) {
        const uint64_t each = (bits >> i & 0xff) * 0x0101010101010101 & FN_BIT_OF_BYTE;
        const uint64_t ones = (each + 0x7f7f7f7f7f7f7f7f) >> 7 & 0x0101010101010101;
        memcpy(bytes + i, &ones, sizeof ones);
    }
    memcpy(mask, bytes, (size_t)n);
}
