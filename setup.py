"""Build: Cython modules, and one C object for each instruction set with flags of its own.

Everything else is in pyproject.toml. OpenMP and some flags are probed by compiling and linking (never running, which
would break cross builds); a tier whose flags the compiler refuses is left out, and `fastnorm.show_config()` tells.
Flags beyond the platform's baseline touch only the isa_*.c files, so that no other code can need an instruction that
the machine lacks.

Environment: FASTNORM_OPENMP=auto|0|require, FASTNORM_WERROR=1 (C warnings are errors), FASTNORM_CFLAGS (more flags,
after those that are here).
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError
from setuptools.modified import newer_group

SIMD = Path("fastnorm/_simd")
DEPENDS = sorted(str(path) for path in [*SIMD.glob("*.[ch]"), *Path("fastnorm/_kernels").glob("*.h")])
X86 = ("x86_64", "amd64", "i686", "win32")
AARCH64 = ("aarch64", "arm64")
# Each instruction set's flags, and the platforms that it is built for.
TIERS = {
    "scalar": ([], ("",)),
    "neon": ([], AARCH64),
    "avx2": (["-mavx2", "-mfma", "-mf16c"], X86),
    "avx512": (["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mf16c"], X86),
}

# No contraction: the kernels say where an fma is, so that every compiler gives the same bits. No vectors out of
# neighbouring statements: GCC 12 then takes (double)(float)a, (double)(float)b for a, b. And small wheels: neither
# debugging information, nor tables for unwinding, which C does not need.
BASE_FLAGS = [
    *["-std=c11", "-O3", "-g0", "-fno-fast-math", "-ffp-contract=off", "-fno-tree-slp-vectorize", "-fno-math-errno"],
    *["-fno-asynchronous-unwind-tables", "-fvisibility=hidden", *os.environ.get("FASTNORM_CFLAGS", "").split()],
]
# Where the compiler is GCC, or takes them. Small wheels: no copies of functions and loops for one value of an argument
# (12 % of the C code), nor functions inlined that do not ask for it (13 % of what is left in a wheel, where GCC does so
# for some types and not for others), nor padding before what is jumped to (1 %). No faster: the templates say which are
# worth it. Sums stay in registers: else GCC 12 spills three of twelve for AVX2, and float32 rows take 1.08 times as
# long. And what one side of a choice needs is not moved there: it might trap, so that GCC 12 makes no vectors of the
# loop in finish_plain.h for AVX2, and rows of 64 take 1.09 times as long.
GCC_FLAGS = [
    *["-fno-ipa-cp", "-fno-unswitch-loops", "-fno-inline-small-functions", "-fno-align-jumps", "-fno-align-loops"],
    *["-flive-range-shrinkage", "-fno-tree-sink"],
]
WARNINGS = ["-Wall", "-Wextra", "-Wformat=2", "-Werror"]
# What Cython 3 generates is not free of these.
CYTHON_WARNINGS = [
    *WARNINGS,
    "-Wno-unused-parameter",
    "-Wno-sign-compare",
    "-Wno-unused-function",
    "-Wno-cast-function-type",
    "-Wno-format-nonliteral",
]
# Against the misuse of a defect, on Linux: what costs nothing, where the compiler or the linker has it. Other systems'
# compilers do as much unasked.
HARDENING = {
    "-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3": ("",),
    "-fstack-protector-strong": ("",),
    "-fstack-clash-protection": ("",),
    "-fcf-protection=full": X86,
    "-mbranch-protection=standard": AARCH64,
}
EMPTY_PROGRAM = "int main(void) { return 0; }\n"
LINK_HARDENING = ["-Wl,-z,relro,-z,now,-z,noexecstack"]
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_22_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_1_22_API_VERSION")]


def extension(name: str) -> Extension:
    return Extension(
        f"fastnorm.{name}",
        [f"fastnorm/{name.replace('.', '/')}.pyx"],
        include_dirs=[str(SIMD), "fastnorm/_kernels", numpy.get_include()],
        define_macros=MACROS,
        depends=DEPENDS,
    )


class BuildExt(build_ext):
    """Probe the compiler, then build the tiers it takes into the module that chooses among them."""

    def build_extensions(self) -> None:
        for variable in ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "FASTNORM_CFLAGS"):
            for flag in ("-ffast-math", "-Ofast", "-funsafe-math-optimizations"):
                if flag in os.environ.get(variable, "").split():
                    # Linking with it would set flush-to-zero for the whole process, too.
                    raise SystemExit(f"{variable} holds {flag}, which breaks fastnorm's results: remove it")
        if self.compiler.compiler_type == "msvc":
            self.take_clang()
        werror = os.environ.get("FASTNORM_WERROR") == "1"
        openmp = self.openmp_flags()
        hardening, link_hardening = self.hardening_flags()
        base = [*hardening, *self.flags_taken(GCC_FLAGS), *BASE_FLAGS]
        for module in self.extensions:
            module.extra_compile_args = [*base, *(CYTHON_WARNINGS if werror else ["-w"])]
            if sys.platform == "linux":
                module.extra_link_args = list(link_hardening)
                if "-g" not in BASE_FLAGS:
                    module.extra_link_args += ["-s"]  # symbols' names are 5 % of the wheel
            if module.name == "fastnorm._kernels.tasks":
                module.extra_compile_args += openmp
                module.extra_link_args += openmp
            if module.name == "fastnorm._kernels.isa":
                self.add_tiers(module, [*base, *(WARNINGS if werror else []), "-Wno-unused-function"])
        super().build_extensions()

    def take_clang(self) -> None:
        """In place of Microsoft's compiler, whose C has neither vector types nor inline assembly for 64 bits.

        clang-cl takes the options that setuptools has for that compiler, and ours behind /clang:. It was made to accept
        all of the C code, but no module was ever built or run on Windows.
        """
        if not self.compiler.initialized:
            self.compiler.initialize(self.plat_name)
        self.compiler.cc = "clang-cl"
        compile_as_msvc = self.compiler.compile

        def compile_with(sources: list[str], extra_postargs: list[str] | None = None, **options: Any) -> list[str]:
            flags = [f"/clang:{flag}" for flag in extra_postargs or []]
            return compile_as_msvc(sources, extra_postargs=flags, **options)

        self.compiler.compile = compile_with

    def add_tiers(self, module: Extension, flags: list[str]) -> None:
        macros = []
        with ThreadPoolExecutor() as pool:  # each takes the compiler some 15 s
            jobs = {
                tier: pool.submit(self.compile_c, f"isa_{tier}.c", module, [*flags, *tier_flags])
                for tier, (tier_flags, platforms) in TIERS.items()
                if self.has_platform(platforms)
            }
        for tier, job in jobs.items():
            try:
                module.extra_objects += job.result()
            except CompileError:
                if tier == "scalar" or os.environ.get("FASTNORM_WERROR") == "1":
                    raise
                print(f"fastnorm: this compiler does not build the {tier} tier; it is left out")
                continue
            macros.append((f"FN_HAVE_{tier.upper()}", "1"))
        module.extra_objects += self.compile_c("dispatch.c", module, flags, macros)

    def compile_c(
        self, name: str, module: Extension, flags: list[str], macros: list[tuple[str, str]] | None = None
    ) -> list[str]:
        """Kept in build/ from one build to the next, by what it was made with: half of the time is spent here."""
        made_with = [getattr(self.compiler, "compiler_so", None), self.plat_name, flags, macros]
        folder = f"build/c-{hashlib.sha256(repr(made_with).encode()).hexdigest()[:16]}"
        objects: list[str] = self.compiler.object_filenames([str(SIMD / name)], output_dir=folder)
        if self.force or newer_group([str(SIMD / name), *DEPENDS, "setup.py"], objects[0]):
            self.compiler.compile(
                [str(SIMD / name)],
                output_dir=folder,
                include_dirs=module.include_dirs,
                macros=macros,
                extra_postargs=flags,
            )
        return objects

    def has_platform(self, platforms: tuple[str, ...]) -> bool:
        return any(platform in self.plat_name for platform in platforms)

    def openmp_flags(self) -> list[str]:
        wish = os.environ.get("FASTNORM_OPENMP", "auto")
        if wish not in ("auto", "0", "require"):
            raise SystemExit(f"FASTNORM_OPENMP is {wish!r}, expected 'auto', '0' or 'require'")
        if wish == "0":
            return []
        openmp = ["-fopenmp"]
        if self.builds("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n", openmp, openmp):
            return openmp
        if wish == "require":
            raise SystemExit("FASTNORM_OPENMP=require, but the compiler cannot link OpenMP")
        print("fastnorm: no OpenMP here; the build goes on without threads")
        return []

    def hardening_flags(self) -> tuple[list[str], list[str]]:
        """Those that the compiler takes, and those that the linker does."""
        given = " ".join(os.environ.get(variable, "") for variable in ("CFLAGS", "FASTNORM_CFLAGS"))
        if sys.platform != "linux" or "-fsanitize" in given:  # sanitizers do not see into fortified calls
            return [], []
        found = self.flags_taken(flags for flags, platforms in HARDENING.items() if self.has_platform(platforms))
        return found, LINK_HARDENING if self.builds(EMPTY_PROGRAM, [], LINK_HARDENING) else []

    def flags_taken(self, flags: Iterable[str]) -> list[str]:
        return [
            flag
            for text in flags
            if self.builds(EMPTY_PROGRAM, [*text.split(), "-Werror"], [])
            for flag in text.split()
        ]

    def builds(self, program: str, flags: list[str], link_flags: list[str]) -> bool:
        """Whether the compiler makes this program with these flags."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(program)
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=flags)
                self.compiler.link_executable(objects, str(Path(folder, "probe")), extra_postargs=link_flags)
            except (CompileError, LinkError):
                return False
        return True


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        [
            extension("_kernels.isa"),
            extension("_kernels.tasks"),
            extension("_kernels.views"),
            extension("_kernels.rows"),
            extension("_kernels.columns"),
            extension("_kernels.dropout"),
            extension("_kernels.plain"),
            extension("_kernels.window"),
            extension("_kernels.images"),
        ],
        language_level=3,
        compiler_directives={"cdivision": True, "freethreading_compatible": True},
    ),
)
