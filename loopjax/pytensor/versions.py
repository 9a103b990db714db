"""Names that stand in other modules from one version of PyTensor to another: 2.38, 3.0 and 3.3."""

try:
    from pytensor.conditional.op import IfElse
except ImportError:
    from pytensor.ifelse import IfElse
try:
    from pytensor.tensor.linalg import (
        Cholesky,
        CholeskySolve,
        Det,
        MatrixInverse,
        SLogDet,
        Solve,
        SolveTriangular,
    )
except ImportError:
    from pytensor.tensor.nlinalg import Det, MatrixInverse, SLogDet
    from pytensor.tensor.slinalg import Cholesky, CholeskySolve, Solve, SolveTriangular

__all__ = ["Cholesky", "CholeskySolve", "Det", "IfElse", "MatrixInverse", "SLogDet", "Solve", "SolveTriangular"]
