"""What every block of the config is, and the texts that several of them hold."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict

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
