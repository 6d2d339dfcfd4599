"""convstore's tables as SQLModel classes, as somebody would write them who keeps chats with SQLModel on SQLAlchemy."""
from datetime import datetime
from typing import Any, List, Optional

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Integer
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.types import JSON, DateTime, Text
from sqlmodel import Field, Relationship, SQLModel


def make(kind, schema):
    """The classes (Conversation, Message) for a kind of database: "sqlite" or "postgres"."""
    sqlite = kind == "sqlite"
    prefix = "convstore_" if sqlite else ""
    where = {} if sqlite else {"schema": schema}
    qualified = prefix if sqlite else schema + "."
    uuid_type = Text if sqlite else UUID(as_uuid=False)
    json_type = JSON(none_as_null=True) if sqlite else JSONB(none_as_null=True)
    time_type = BigInteger if sqlite else DateTime(timezone=True)
    Time = int if sqlite else datetime

    class Conversation(SQLModel, table=True):
        __tablename__ = prefix + "conversations"
        __table_args__ = (where,)

        user_id: str = Field(primary_key=True)
        id: str = Field(sa_column=Column(uuid_type, primary_key=True))
        key: Optional[str] = None
        title: Optional[str] = None
        status: str = "active"
        meta: Optional[Any] = Field(default=None, sa_column=Column("metadata", json_type))
        last_seq: int = Field(default=0, sa_column=Column(BigInteger))
        token_count: int = Field(default=0, sa_column=Column(BigInteger))
        pinned_token_count: int = Field(default=0, sa_column=Column(BigInteger))
        created_at: Time = Field(sa_column=Column(time_type))
        updated_at: Time = Field(sa_column=Column(time_type))
        deleted_at: Optional[Time] = Field(default=None, sa_column=Column(time_type))
        messages: List["Message"] = Relationship(
            back_populates="conversation", sa_relationship_kwargs={"order_by": "Message.seq"}
        )

    class Message(SQLModel, table=True):
        __tablename__ = prefix + "messages"
        __table_args__ = (
            ForeignKeyConstraint(
                ["user_id", "conversation_id"],
                [qualified + "conversations.user_id", qualified + "conversations.id"],
            ),
            where,
        )

        user_id: str = Field(primary_key=True)
        conversation_id: str = Field(sa_column=Column(uuid_type, primary_key=True))
        seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
        id: str = Field(sa_column=Column(uuid_type))
        role: str
        content: Optional[str] = None
        parts: Optional[Any] = Field(default=None, sa_column=Column(json_type))
        name: Optional[str] = None
        tool_calls: Optional[Any] = Field(default=None, sa_column=Column(json_type))
        tool_call_id: Optional[str] = None
        attachments: Optional[Any] = Field(default=None, sa_column=Column(json_type))
        meta: Optional[Any] = Field(default=None, sa_column=Column("metadata", json_type))
        token_count: int = Field(sa_column=Column(Integer))
        token_total: int = Field(sa_column=Column(BigInteger))
        created_at: Time = Field(sa_column=Column(time_type))
        updated_at: Optional[Time] = Field(default=None, sa_column=Column(time_type))
        redacted_at: Optional[Time] = Field(default=None, sa_column=Column(time_type))
        conversation: Optional[Conversation] = Relationship(back_populates="messages")

    return Conversation, Message
