"""Lines of the benchmark: what was measured, what the goal is, and whether it is met. A missed goal is no error."""


def title(text: str) -> None:
    print(f"\n{text}")


def row(name: str, figure: str, note: str = "") -> None:
    print(f"  {name:46} {figure:>16}  {note}".rstrip())


def at_least(measure: str, ratio: float, goal: float) -> None:
    """A ratio of speeds and its goal."""
    row(measure, f"{ratio:.3f} x", f"goal >= {goal}: {'met' if ratio >= goal else 'MISSED'}")


def at_most(measure: str, figure_us: float, goal_us: float) -> None:
    """A duration and its goal."""
    row(measure, f"{figure_us:.2f} us", f"goal <= {goal_us} us: {'met' if figure_us <= goal_us else 'MISSED'}")
