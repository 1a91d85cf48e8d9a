"""What this build is and what it decided at import: version, compiler, instruction set, threads, each with a reason."""

from typing import Any, Literal, overload

from fastnorm import _threads
from fastnorm._kernels import isa, tasks

__version__ = "0.1.0"


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: Literal["stdout", "dicts"] = "stdout") -> dict[str, Any] | None:
    """Show version, compiler, instruction sets and threads, and why they are what they are.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print, or return a dictionary.

    Returns
    -------
    dict or None
        With ``"dicts"``: version, compiler, isa, isa_reason, isa_built, isa_supported, fma, openmp, threads,
        threads_reason.

    Raises
    ------
    ValueError
        If `mode` is neither.

    Examples
    --------
    >>> import fastnorm
    >>> config = fastnorm.show_config(mode="dicts")
    >>> config["isa"] in config["isa_supported"]
    True
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode is {mode!r}, expected 'stdout' or 'dicts'")
    config: dict[str, Any] = {
        "version": __version__,
        "compiler": isa.compiler,
        "isa": isa.in_use,
        "isa_reason": isa.reason,
        "isa_built": isa.built(),
        "isa_supported": isa.supported(),
        "fma": isa.has_fma(),
        "openmp": tasks.openmp,
        "threads": _threads.get_num_threads(),
        "threads_reason": _threads.why(),
    }
    if mode == "dicts":
        return config
    print(
        f"fastnorm {config['version']}, built with {config['compiler']}\n"
        f"instruction set  {config['isa']} ({config['isa_reason']}); "
        f"built: {', '.join(config['isa_built'])}; runs here: {', '.join(config['isa_supported'])}\n"
        f"fused multiply-add  {'yes' if config['fma'] else 'no: results differ in the last bits from other tiers'}\n"
        f"OpenMP  {'yes' if config['openmp'] else 'no'}\n"
        f"threads  {config['threads']} ({config['threads_reason']})"
    )
    return None
