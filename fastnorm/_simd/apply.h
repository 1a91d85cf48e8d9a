/* The apply of one statistic to a stretch, in whatever mode its map is.
 *
 * A template, after chunk.h and map.h.
 */

/* What the plain map cannot take: leaf by leaf through scratch. */
FN_COLD static void IN_XY(apply_unusual)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, const fn_map *map,
                                         const IN_C(parameters) * parameters, ptrdiff_t offset)
{
    TYPE(C) scratch[FN_LEAF];
    for (ptrdiff_t i = 0; i < n; i += FN_LEAF) {
        ptrdiff_t length = n - i < FN_LEAF ? n - i : FN_LEAF;
        if (map->mode == FN_SCALED)
            IN_X(scale)(x + i, length, map->exponent, scratch);
        else
            IN_X(blank)(x + i, length, map->mode, scratch);
        IN_CY(map)(scratch, y + i, length, map, parameters, offset + i, FN_NEAR, 0);
    }
}

/* As map, a block at a time, each cut off at the upper end while it is in the cache. Extremes alone have one, and their
 * weight and bias do not vary: they are in the map. */
FN_COLD static void IN_XY(apply_below)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, const fn_map *map)
{
    for (ptrdiff_t i = 0; i < n; i += FN_LEAF) {
        ptrdiff_t length = n - i < FN_LEAF ? n - i : FN_LEAF;
        if (map->mode == FN_PLAIN)
            IN_XY(map)(x + i, y + i, length, map, NULL, 0, FN_NEAR, 0);
        else
            IN_XY(apply_unusual)(x + i, y + i, length, map, NULL, 0);
        IN_CY(cut_off)(y + i, length, map->upper);
    }
}

static inline void IN_XY(apply)(const TYPE(X) * x, TYPE(Y) * y, ptrdiff_t n, const fn_map *map,
                                const IN_C(parameters) * parameters, ptrdiff_t offset, ptrdiff_t ahead, int stream)
{
    if (map->upper < (double)INFINITY)
        IN_XY(apply_below)(x, y, n, map);
    else if (map->mode == FN_PLAIN)
        IN_XY(map)(x, y, n, map, parameters, offset, ahead, stream);
    else
        IN_XY(apply_unusual)(x, y, n, map, parameters, offset);
}
