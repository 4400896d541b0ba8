"""How fast time passes in here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Shortens what AWS waits for: periods, cooldowns and bake times, so that a test sees hours.

    Timestamps stay those of the real clock. Only durations are divided, so that with a scale of 60 a metric's minute
    is a second long, and a client that asks for the last hour sees all of it.

    :param scale: how many seconds of AWS's pass in a real one
    """

    scale: float = 1.0

    def real_seconds(self, aws_seconds: float) -> float:
        """Give how long a duration of AWS's lasts here.

        :param aws_seconds: the duration as AWS states it, in seconds
        :returns: the seconds to wait
        """
        return aws_seconds / self.scale
