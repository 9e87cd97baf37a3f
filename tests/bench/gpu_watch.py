"""What nvidia-smi sees of the device while a trainer runs. Standard library only."""

import subprocess
import tempfile

FIELDS = "memory.used,utilization.gpu,power.draw,clocks.sm"


class GpuWatch:
    """`with GpuWatch() as watch: …`; then `watch.summary()`. Five readings a second."""

    def __enter__(self):
        self.before = self.read_once()
        self.log = tempfile.TemporaryFile("w+")
        self.child = subprocess.Popen(["nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits", "-i",
                                       "0", "-lms", "200"], stdout=self.log, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()

    @staticmethod
    def read_once():
        said = subprocess.run(["nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits", "-i", "0"],
                              check=True, capture_output=True, text=True).stdout
        return numbers(said.splitlines()[0])

    def summary(self):
        """Peak memory over what was in use before, in MiB; mean of the busy half of the other readings."""
        self.log.seek(0)
        rows = [row for row in map(numbers, self.log.read().splitlines()) if row]
        if not rows:
            return {"peak_mib": float("nan")}
        busy = sorted(rows, key=lambda row: row[1])[len(rows) // 2:]
        mean = [sum(row[place] for row in busy) / len(busy) for place in (1, 2, 3)]
        return {"peak_mib": max(row[0] for row in rows) - self.before[0], "busy_percent": round(mean[0], 1),
                "watts": round(mean[1], 1), "sm_mhz": round(mean[2])}


def numbers(line):
    """The readings of a line, `[N/A]` as 0; empty when the line is cut."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != len(FIELDS.split(",")):
        return []
    return [float(part) if part.replace(".", "", 1).isdigit() else 0.0 for part in parts]


def driver():
    """Name, driver and power limit of the first device, in one line."""
    return subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,power.limit,memory.total", "-i", "0",
                           "--format=csv,noheader"], check=True, capture_output=True, text=True).stdout.strip()
