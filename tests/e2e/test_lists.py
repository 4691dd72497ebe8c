"""buildhook reads a list of BuildConfigs object by object, so its memory does not grow with the bytes of the list."""

from harness import MEMORY_MIB, RELEASED, Buildhook, buildconfig, scaled
from pushers import INLINE, Ledger, check_one_build_each, in_parallel, wait_served


def create(cluster, n, size):
    """N BuildConfigs of about SIZE bytes each."""
    namespace = cluster.namespace()
    body = buildconfig("x", triggers=INLINE)
    body["spec"]["source"]["dockerfile"] = "FROM scratch\n".ljust(size, "#")
    hooks = [(namespace, f"bc-{i:05}") for i in range(n)]

    def create_some(i):
        for _, name in hooks[i::4]:
            cluster.create(namespace, {**body, "metadata": {"name": name}})

    in_parallel(4, create_some)
    return hooks


def peak_of_a_start(cluster, kubeconfig, folder, hooks):
    """The most memory, in MiB, that a program has had when it serves HOOKS, which it found in its first list, and has built from one of them."""
    buildhook = Buildhook(kubeconfig, folder, program=RELEASED)
    ledger = Ledger()
    try:
        wait_served(buildhook, [hooks[0], hooks[-1]])
        ledger.push(buildhook, hooks[-1])
        check_one_build_each(cluster, ledger)
        return buildhook.memory_mib("VmHWM")
    finally:
        buildhook.kill()


def test_a_list_of_large_buildconfigs_need_not_fit_into_memory(cluster, kubeconfig, tmp_path, figures):
    """All are in one page of the list."""
    hooks = create(cluster, 100, 800 << 10)
    peak = peak_of_a_start(cluster, kubeconfig, tmp_path, hooks)
    figures(f"100 BuildConfigs of 800 KiB: {peak:.1f} MiB at most")
    assert peak < MEMORY_MIB / 2


def test_many_buildconfigs_are_listed_in_bounded_memory(cluster, kubeconfig, tmp_path, figures):
    n = scaled(1_000, 50_000)
    hooks = create(cluster, n, 2 << 10)
    peak = peak_of_a_start(cluster, kubeconfig, tmp_path, hooks)
    figures(f"{n} BuildConfigs of 2 KiB: {peak:.1f} MiB at most")
    # docs/performance.md promises 1.5 KiB for each BuildConfig.
    assert peak <= MEMORY_MIB / 2 + n * 1.5 / 1024
