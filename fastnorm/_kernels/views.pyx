"""Arrays as the canonical problem sees them: the same memory with explicit sizes and strides, nothing copied.

`reshape` would copy where it cannot describe the result, and what is then written to the copy is lost; NumPy's
`as_strided` says it without copying, but takes longer than a small norm.
"""
cimport numpy as cnp
from cpython.ref cimport Py_INCREF

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    int PyArray_SetBaseObject(cnp.ndarray array, object base) except -1


def view(cnp.ndarray array, tuple sizes, tuple strides) -> cnp.ndarray:
    """The memory of `array` from its first element on, as five words; 16-bit floats as integers of either sign."""
    cdef cnp.npy_intp dims[5]
    cdef cnp.npy_intp steps[5]
    cdef int word, type_number = cnp.PyArray_TYPE(array)
    cdef cnp.ndarray words
    for word in range(5):
        dims[word] = sizes[word]
        steps[word] = strides[word]
    if cnp.PyArray_ITEMSIZE(array) == 2:  # bfloat16 has no number of its own
        type_number = cnp.NPY_UINT16 if type_number == cnp.NPY_FLOAT16 else cnp.NPY_INT16
    words = cnp.PyArray_New(
        cnp.ndarray, 5, dims, type_number, steps, cnp.PyArray_DATA(array), 0,
        cnp.NPY_ARRAY_WRITEABLE if cnp.PyArray_ISWRITEABLE(array) else 0, <object> NULL,
    )
    Py_INCREF(array)  # PyArray_SetBaseObject steals a reference
    PyArray_SetBaseObject(words, array)
    return words
