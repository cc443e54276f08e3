"""What the kubelets saw of each pod during one trial, as the samples that processes of this machine have too."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from loadtests.analysis.records import GATEWAY
from loadtests.rig.cluster.pods import Pod, Reading
from loadtests.rig.sampler import Sample


@dataclass
class _Known:
    """A pod of the trial. `base` is its CPU time when the trial began; None before the first reading."""

    slot: int
    label: str
    base: float | None = None
    last: Reading | None = None
    gone: bool = False


class PodSamples:
    """The readings of all pods, by labels such as `recommendations-2`. A pod keeps its label, and no other gets it.

    CPU seconds count from `begin` on, or from the start of a pod that comes later.
    """

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._known: dict[str, _Known] = {}
        self._slots: Counter[str] = Counter()
        self._begun = False

    def label(self, pod: Pod) -> str:
        """Its name in the samples."""
        return self._of(pod).label

    def slot(self, pod: Pod) -> int:
        """Its number among the pods of its workload, from 1."""
        return self._of(pod).slot

    def last_reading(self, pod: Pod) -> float:
        """The Unix time of its newest reading; 0 without one."""
        last = self._of(pod).last
        return last.at if last else 0.0

    def begin(self) -> None:
        """The trial begins: what the pods have used so far is not part of it."""
        self._begun = True
        self.samples = []
        for known in self._known.values():
            if known.last and not known.gone:
                known.base = known.last.cpu
                self.samples.append(Sample(known.last.at, known.label, 0.0, known.last.memory))

    def add(self, pods: Sequence[Pod], readings: Mapping[str, Reading], now: float) -> None:
        """Take the newest readings, by the pods' uid, at the Unix time `now`.

        A reading that is no newer than the last says nothing. A pod that is no longer there gets a last sample without
        memory: it uses nothing from then on, and what it used since its last reading is not known.
        """
        self._note_gone({pod.uid for pod in pods}, now)
        for pod in pods:
            known, reading = self._of(pod), readings.get(pod.uid)
            if reading is None or (known.last and reading.at <= known.last.at):
                continue
            known.last = reading
            if not self._begun:
                continue
            if known.base is None:
                known.base = 0.0
                self.samples.append(Sample(pod.started, known.label, 0.0, 0))
            self.samples.append(Sample(reading.at, known.label, reading.cpu - known.base, reading.memory))

    def _note_gone(self, there: Collection[str], now: float) -> None:
        for uid, known in self._known.items():
            if uid not in there and not known.gone:
                known.gone = True
                if known.last and known.base is not None:
                    self.samples.append(Sample(now, known.label, known.last.cpu - known.base, 0))

    def _of(self, pod: Pod) -> _Known:
        if pod.uid not in self._known:
            self._slots[pod.workload] += 1
            slot = self._slots[pod.workload]
            first_gateway = pod.workload == GATEWAY and slot == 1
            self._known[pod.uid] = _Known(slot, GATEWAY if first_gateway else f"{pod.workload}-{slot}")
        return self._known[pod.uid]
