"""Print minutes, steps and last losses of logs.  python -m training.timing runs/vq runs/janus"""

import argparse
import json
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+")
    for folder in parser.parse_args().folder:
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        last = {key: value for line in lines for key, value in line.items()}
        print(f"{folder}: {last}")  # the last value of every quantity


if __name__ == "__main__":
    main()
