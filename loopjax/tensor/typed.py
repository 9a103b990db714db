"""Constructors of inputs of one dtype and shape: ``dvector("x")`` is a float64 vector.

The letters are int8 (b), int16 (w), int32 (i), int64 (l), uint64 (u), float32 (f), float64 (d), complex64 (c) and
complex128 (z). The module has no other public names, so that all of it is imported into `loopjax.tensor`.
"""

from loopjax.tensor.constructors import typed as _typed
from loopjax.tensor.constructors import typed_plurals as _typed_plurals

bscalar, wscalar, iscalar, lscalar, uscalar, fscalar, dscalar, cscalar, zscalar = _typed("scalar")
bvector, wvector, ivector, lvector, uvector, fvector, dvector, cvector, zvector = _typed("vector")
bmatrix, wmatrix, imatrix, lmatrix, umatrix, fmatrix, dmatrix, cmatrix, zmatrix = _typed("matrix")
brow, wrow, irow, lrow, urow, frow, drow, crow, zrow = _typed("row")
bcol, wcol, icol, lcol, ucol, fcol, dcol, ccol, zcol = _typed("col")
btensor3, wtensor3, itensor3, ltensor3, utensor3, ftensor3, dtensor3, ctensor3, ztensor3 = _typed("tensor3")
btensor4, wtensor4, itensor4, ltensor4, utensor4, ftensor4, dtensor4, ctensor4, ztensor4 = _typed("tensor4")
btensor5, wtensor5, itensor5, ltensor5, utensor5, ftensor5, dtensor5, ctensor5, ztensor5 = _typed("tensor5")
btensor6, wtensor6, itensor6, ltensor6, utensor6, ftensor6, dtensor6, ctensor6, ztensor6 = _typed("tensor6")
btensor7, wtensor7, itensor7, ltensor7, utensor7, ftensor7, dtensor7, ctensor7, ztensor7 = _typed("tensor7")

bscalars, wscalars, iscalars, lscalars, uscalars, fscalars, dscalars, cscalars, zscalars = _typed_plurals("scalar")
bvectors, wvectors, ivectors, lvectors, uvectors, fvectors, dvectors, cvectors, zvectors = _typed_plurals("vector")
bmatrices, wmatrices, imatrices, lmatrices, umatrices, fmatrices, dmatrices, cmatrices, zmatrices = _typed_plurals(
    "matrix"
)
brows, wrows, irows, lrows, urows, frows, drows, crows, zrows = _typed_plurals("row")
bcols, wcols, icols, lcols, ucols, fcols, dcols, ccols, zcols = _typed_plurals("col")
btensor3s, wtensor3s, itensor3s, ltensor3s, utensor3s, ftensor3s, dtensor3s, ctensor3s, ztensor3s = _typed_plurals(
    "tensor3"
)
btensor4s, wtensor4s, itensor4s, ltensor4s, utensor4s, ftensor4s, dtensor4s, ctensor4s, ztensor4s = _typed_plurals(
    "tensor4"
)
btensor5s, wtensor5s, itensor5s, ltensor5s, utensor5s, ftensor5s, dtensor5s, ctensor5s, ztensor5s = _typed_plurals(
    "tensor5"
)
btensor6s, wtensor6s, itensor6s, ltensor6s, utensor6s, ftensor6s, dtensor6s, ctensor6s, ztensor6s = _typed_plurals(
    "tensor6"
)
btensor7s, wtensor7s, itensor7s, ltensor7s, utensor7s, ftensor7s, dtensor7s, ctensor7s, ztensor7s = _typed_plurals(
    "tensor7"
)
