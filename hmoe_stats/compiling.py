"""Compiling kernels: to the widest vectors, kept in a cache that can be done without, and not without a word.

LLVM takes vectors of 256 bits on Intel's processors with AVX-512, as wider ones once slowed their clock, and then
kernels take up to half as long again: 28.6, 50 and 148 ns a sample for log-likelihood, score and information (SS, 2 x 3
experts, d = 1), against 18.8, 42 and 130 with 512 bits. `Compiler` asks for these, function by function, so that the
settings of the process, and what else is compiled in it, are left alone. AMD's processors have the widest anyway.

Compiled kernels are kept beside their source, in the user's cache folder, or where NUMBA_CACHE_DIR says. Numba gives up
where none of these can be written to, and at a damaged file, a full disk, or a folder that has gone; here the kernel is
compiled all the same, and a `RuntimeWarning` says so once. The logger ``hmoe_stats`` says, at level INFO, when the
first kernel is compiled.
"""

import logging
import warnings
from multiprocessing import parent_process

from numba import config, njit
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

SECONDS = 20  # of one processor, about, that the kernels of a first fit take: see `python -m benchmarks cold`
WIDEST = '"prefer-vector-width"="512"'  # attribute of functions of LLVM; where vectors are shorter, it says nothing

_log = logging.getLogger("hmoe_stats")
_said: set[str] = set()


class _Lower(Lower):
    def setup_function(self, fndesc):
        super().setup_function(fndesc)
        self.function.attributes.update([WIDEST])  # `add` takes no attributes that are a name and a value


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):
    _name = "lowering_to_widest_vectors"
    lowering_class = _Lower


class Compiler(CompilerBase):
    """Numba's own, but LLVM is asked for the widest vectors: `pipeline_class` of kernels and of what is inlined."""

    def define_pipelines(self):
        steps = DefaultPassBuilder.define_nopython_pipeline(self.state)
        steps.passes = [(_Lowering if step is NativeLowering else step, words) for step, words in steps.passes]
        steps.finalize()
        return [steps]


def kernel(**options):
    """As `numba.njit` with `cache=True`, which it takes the options of, but whatever befalls the cache is no error."""

    def decorate(function):
        compiled = njit(**options)(function)
        if not config.DISABLE_JIT:
            try:
                compiled._cache = _Cache(function)  # where `enable_caching` puts Numba's own
            except (RuntimeError, OSError) as error:  # of Numba, and of file systems
                _uncached(error)
        return compiled

    return decorate


class _Cache(FunctionCache):
    """Numba's cache of one function; what goes wrong with it is said, and never raised.

    Its key has what Numba's own lacks: the attribute that functions are given here.
    """

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload((sig, WIDEST), target_context)
        except MemoryError:  # of this process, not of the file
            raise
        except Exception as error:  # whatever a damaged file makes of unpickling and linking
            _warn(f"compiled kernels in {self.cache_path} are damaged and made anew ({type(error).__name__}: {error})")
        try:
            self.flush()
        except OSError as error:
            self._give_up(error)

    def save_overload(self, sig, data):
        try:
            super().save_overload((sig, WIDEST), data)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error):
        self.disable()
        _uncached(error)


def _uncached(error):
    _said.add("uncached")
    _warn(f"compiled kernels cannot be kept, each process compiles its own ({error})")


def _warn(trouble):
    """Once, and not in each of the processes that were started to help another."""
    if "trouble" not in _said and parent_process() is None:
        _said.add("trouble")
        advice = "set NUMBA_CACHE_DIR to a folder that can be written to"
        warnings.warn(f"{trouble}: {advice}", RuntimeWarning, stacklevel=2)


class _Compiling(event.Listener):
    """Says once that kernels are being compiled."""

    def on_start(self, event):
        module = event.data["dispatcher"].py_func.__module__ or ""  # None for a function that `exec` made
        if module.startswith(f"{__package__}.") and "compiling" not in _said:
            _said.add("compiling")
            often = "in every process" if "uncached" in _said else "once for this installation"
            _log.info("compiling the kernels, %s: about %d s", often, SECONDS)

    def on_end(self, event):
        pass


event.register("numba:compile", _Compiling())
