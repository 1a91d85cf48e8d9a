/* The bits of a positive, normal float64 where the vocabularies take it apart: 11 of exponent over 52 of mantissa.
 *
 * Adding SPLIT_AT carries into the exponent from sqrt(2) on, so that what stays below belongs to a mantissa that starts
 * at sqrt(1/2). An integer below 2^52 or-ed into the bits of 2^52 is that double plus the integer: a conversion that
 * every instruction set has.
 */
#ifndef FASTNORM_DOUBLE_BITS_H
#define FASTNORM_DOUBLE_BITS_H

#define FN_ROOT_HALF 0x3fe6a09e667f3bcd
#define FN_SPLIT_AT (0x3ff0000000000000 - FN_ROOT_HALF)
#define FN_MANTISSA 0x000fffffffffffff
#define FN_INTEGER 0x4330000000000000

#endif
