"""Temperatures of a weather station; the last function waits for its body."""

from dataclasses import dataclass


@dataclass
class Reading:
    """One temperature reading."""

    station: str
    hour: int
    celsius: float


def warmest(readings: list[Reading]) -> Reading:
    """The reading with the highest temperature."""
    return max(readings, key=lambda reading: reading.celsius)


def average(readings: list[Reading]) -> float:
    """The mean temperature in degrees Celsius."""
    return sum(reading.celsius for reading in readings) / len(readings)


def by_station(readings: list[Reading]) -> dict[str, list[Reading]]:
    """The readings of each station, in the order they came in."""
    stations: dict[str, list[Reading]] = {}
    
