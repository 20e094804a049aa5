"""Refusals of the gateway: one form, with the reason and what to do."""

from collections.abc import Mapping


class Refusal(Exception):
    """An answer that is not what was asked for. The text never holds a token or a link."""

    def __init__(
        self, status: int, code: str, reason: str, advice: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Args:
        status: Of HTTP.
        code: For programs: one word that stays the same between versions.
        headers: Further ones for the answer.
        """
        super().__init__(reason)
        self.status, self.code, self.reason, self.advice = status, code, reason, advice
        self.headers = dict(headers or {})

    def document(self, request: str) -> dict[str, object]:
        """The JSON body; `request` is the id that the log has too."""
        return {
            "error": {
                "status": self.status,
                "code": self.code,
                "reason": self.reason,
                "advice": self.advice,
                "request": request,
            }
        }
