"""What every block of the config is, and what several of them hold."""

from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rotator.config import texts

SecretPath: TypeAlias = Annotated[str, AfterValidator(texts.secret_path)]
FileName: TypeAlias = Annotated[str, AfterValidator(texts.file_name)]
VariableName: TypeAlias = Annotated[str, AfterValidator(texts.variable)]


class Block(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )


class Sources(Block):
    """Where a credential is read from: a file or an environment variable."""

    file: FileName | None = Field(default=None, description="A file that holds it and nothing else.")
    env: VariableName | None = Field(
        default=None, description="The name of an environment variable, never the credential itself."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(
                f"names no source, or several; write one of {', '.join(type(self).model_fields)}"
            )
        return self
