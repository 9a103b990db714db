"""Modules and classes of the peers that have no meaning here: they can be imported, and say so when they are used."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

from loopjax.errors import UnsupportedError, coded

_PATHS = """
sandbox.cuda sandbox.cuda.basic_ops sandbox.cuda.blas sandbox.cuda.dnn sandbox.cuda.nnet sandbox.cuda.var
sandbox.cuda.type sandbox.cuda.nvcc_compiler sandbox.cuda.fftconv sandbox.cuda.opt sandbox.cuda.rng_curand
sandbox.cuda.cula sandbox.cuda.kernel_codegen sandbox.gpuarray sandbox.gpuarray.basic_ops sandbox.gpuarray.type
sandbox.gpuarray.dnn sandbox.conv gpuarray gpuarray.basic_ops gpuarray.type
gpuarray.blas gpuarray.dnn gpuarray.elemwise gpuarray.nnet gpuarray.opt gpuarray.fft gpuarray.linalg
gpuarray.fp16_help gpuarray.extra_ops gpuarray.reduction gpuarray.rng_mrg gpuarray.sort gpuarray.cudnn_defs gpuarray.ctc
gpuarray.multinomial gpuarray.pool gpuarray.subtensor gpuarray.dnn_opt gpuarray.neighbours gpuarray.pathlib sparse
sparse.basic sparse.opt sparse.sandbox sparse.sandbox.sp sparse.sandbox.sp2 sparse.type sparse.utils
sparse.rewriting gof.opt gof.cmodule gof.cc gof.cutils gof.compilelock gof.destroyhandler gof.link gof.lazylinker_c
gof.optdb gof.params_type gof.sched gof.toolbox gof.unify gof.vm graph.features graph.opt graph.optdb
graph.rewriting graph.rewriting.basic graph.rewriting.db graph.rewriting.utils graph.destroyhandler graph.sched
graph.unify graph.params_type graph.replace_ops link link.basic link.c link.c.op link.c.basic link.c.cmodule
link.c.interface link.c.params_type link.vm link.utils link.jax link.jax.dispatch link.jax.ops link.numba
link.numba.dispatch link.pytorch link.pytorch.dispatch link.mlx tensor.opt_uncanonicalize tensor.blas tensor.blas_c
tensor.blas_scipy tensor.blas_headers tensor.nnet.Conv3D tensor.nnet.ConvGrad3D tensor.nnet.ConvTransp3D
tensor.nnet.blocksparse tensor.nnet.opt tensor.rewriting tensor.rewriting.basic tensor.rewriting.math
tensor.basic_opt tensor.math_opt tensor.subtensor_opt tensor.tests tensor.tests.test_basic tests
tests.unittest_tools tests.record misc.check_blas misc.pycuda_init misc.pycuda_utils misc.safe_asarray
misc.frozendict misc.doubledict misc.gh_api misc.latence_gpu_transfer misc.gnumpy_utils misc.cudamat_utils
misc.hooks misc.windows typed_list typed_list.basic typed_list.type tensor.random.rewriting tensor.random.var
compile.debugmode compile.nanguardmode compile.monitormode compile.profilemode compile.profiling compile.compiledir
compile.pfunc configparser theano_libblas_c d3viz.formatting
"""
PATHS = tuple(_PATHS.split())
"""Paths of modules that may be imported; those that have real names are in ``compat/modules.py``."""

_FALSE = """
cuda_available cuda_enabled dnn_available dnn_present have_dnn enable_sparse pygpu_activated use_gpu
"""
FALSE = tuple(_FALSE.split())
"""Names that say that something is not there."""


_ACCEPTED = """
ParamsType Params EnumType EnumList CEnumType CLinker OpWiseCLinker DualLinker PerformLinker VM_Linker LocalLinker
"""


class Accepted(SimpleNamespace):
    """Settings for C code and linkers: made and kept, without an effect."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(**settings)


ACCEPTED = dict.fromkeys(_ACCEPTED.split(), Accepted)
"""Classes that programs name in ops with C code, or give to ``Mode(linker=)``."""


class Unavailable:
    """The base of the classes that stand for what is not here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise coded(UnsupportedError, "LJ207")(
            f"{type(self).__module__}.{type(self).__name__} does not exist in LoopJAX: XLA compiles for the GPU, and "
            f"arrays are dense; use the op of the same work in tensor or tensor.nnet, or loopjax.wrap_jax"
        )


def stub(name: str, path: str) -> type[Unavailable]:
    """Return the class that stands for a name of a module."""
    return type(name, (Unavailable,), {"__module__": path})


class StubModule(ModuleType):
    """A module whose every name is a class that cannot be used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in FALSE:
            return (
                False
                if not name.endswith(("_available", "_present")) or name == "cuda_available"
                else lambda *args: False
            )
        made = ACCEPTED.get(name) or stub(name, self.__name__)
        setattr(self, name, made)
        return made
