"""SQLModel on SQLAlchemy as a side of the comparison: sqlmodel_worker.py STYLE KIND DSN SCHEMA TEXTS.

It takes the orders of worker.lua. STYLE is "objects", as SQLModel's documentation shows it: a session for each call,
objects that are added, committed and refreshed, and a conversation's messages by its relationship, of which a part is
sliced; or "queries", as somebody writes it who has looked at the SQL: only the columns and rows that are needed, in one
query, and bulk inserts.
"""
import gc
import math
import sys
import time
import uuid
from datetime import datetime, timezone

from sqlalchemy import and_, event, exists, insert, text, update
from sqlalchemy.pool import QueuePool
from sqlmodel import Session, create_engine, select

from sqlmodel_models import make

STYLE, KIND, DSN, SCHEMA, TEXTS = sys.argv[1:]
SQLITE = KIND == "sqlite"
synchronous = "FULL"

if SQLITE:
    # By itself SQLAlchemy 1.4 opens a file anew for each session, and the last to close it empties its log.
    pool = {"poolclass": QueuePool} if STYLE == "queries" else {}
    engine = create_engine("sqlite:///" + DSN, **pool)

    @event.listens_for(engine, "connect")
    def set_pragmas(connection, _):
        for pragma in ("foreign_keys = ON", "secure_delete = ON", "synchronous = " + synchronous):
            connection.execute("PRAGMA " + pragma)
else:
    engine = create_engine(DSN)

Conversation, Message = make(KIND, SCHEMA)
with open(TEXTS, encoding="utf-8") as lines:
    texts = lines.read().splitlines()
next_text = 0
taken = {}


def next_message():
    global next_text
    role = "assistant" if next_text % 2 else "user"
    content = texts[next_text]
    next_text = (next_text + 1) % len(texts)
    return role, content


def now():
    if SQLITE:
        return time.time_ns() // 1000000
    moment = datetime.now(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def tokens_of(content):
    return (len(content.encode()) + 3) // 4


class Objects:
    """Objects and relationships."""

    def __init__(self, user_id, conversation_id):
        self.user_id, self.id = user_id, conversation_id
        self.key = {"user_id": user_id, "id": conversation_id}

    def lock(self, session):
        """The conversation, which no one else may append to until the commit: SQLite has one writer anyway."""
        return session.get(Conversation, self.key, with_for_update=None if SQLITE else True)

    def add(self, session, conversation, role, content):
        conversation.last_seq += 1
        conversation.token_count += tokens_of(content)
        conversation.updated_at = now()
        message = Message(
            user_id=conversation.user_id,
            conversation_id=conversation.id,
            seq=conversation.last_seq,
            id=str(uuid.uuid4()),
            role=role,
            content=content,
            token_count=tokens_of(content),
            token_total=conversation.token_count - conversation.pinned_token_count,
            created_at=conversation.updated_at,
        )
        session.add(message)
        return message

    def append(self, role, content):
        with Session(engine) as session:
            conversation = self.lock(session)
            message = self.add(session, conversation, role, content)
            session.commit()
            session.refresh(message)
            return message

    def append_many(self, messages):
        with Session(engine) as session:
            conversation = self.lock(session)
            for role, content in messages:
                self.add(session, conversation, role, content)
            session.commit()

    def newest(self, n):
        with Session(engine) as session:
            return session.get(Conversation, self.key).messages[-n:]

    def context(self, max_tokens):
        with Session(engine) as session:
            messages = session.get(Conversation, self.key).messages
        kept = [m for m in messages if m.role in ("system", "developer")]
        tokens = sum(m.token_count for m in kept)
        window = []
        for message in reversed(messages):
            if message.role in ("system", "developer"):
                continue
            tokens += message.token_count
            if tokens > max_tokens:
                break
            window.append(message)
        return [{"role": m.role, "content": m.content} for m in kept + window[::-1]]

    def list(self, n):
        with Session(engine) as session:
            conversations = session.exec(
                select(Conversation)
                .where(Conversation.user_id == self.user_id, Conversation.deleted_at == None)  # noqa: E711
                .order_by(Conversation.updated_at.desc(), Conversation.id.desc())
                .limit(n)
            ).all()
            return [(c, c.messages[-1].role, c.messages[-1].content[:200]) for c in conversations]

    def search(self, word, n):
        like = Message.content.like if SQLITE else Message.content.ilike
        deleted = exists().where(
            and_(
                Conversation.user_id == Message.user_id,
                Conversation.id == Message.conversation_id,
                Conversation.deleted_at != None,  # noqa: E711
            )
        )
        with Session(engine) as session:
            return session.exec(
                select(Message)
                .where(Message.user_id == self.user_id, like("%" + word + "%"), ~deleted)
                .order_by(Message.created_at.desc())
                .limit(n)
            ).all()

    def each(self):
        with Session(engine) as session:
            statement = select(Message).where(self.mine()).order_by(Message.seq)
            yield from session.exec(statement.execution_options(yield_per=256))

    def mine(self):
        return and_(Message.user_id == self.user_id, Message.conversation_id == self.id)


class Queries(Objects):
    """One query for each need."""

    COLUMNS = (
        Message.seq, Message.id, Message.conversation_id, Message.role, Message.content, Message.parts, Message.name,
        Message.tool_calls, Message.tool_call_id, Message.attachments, Message.meta, Message.token_count,
        Message.created_at, Message.updated_at, Message.redacted_at,
    )

    def advance(self, session, n, tokens):
        """Takes the next seqs. SQLAlchemy 1.4 has no RETURNING on SQLite; there the UPDATE has locked the file."""
        mine = and_(Conversation.user_id == self.user_id, Conversation.id == self.id)
        found = (
            Conversation.last_seq,
            Conversation.token_count - Conversation.pinned_token_count,
            Conversation.updated_at,
        )
        statement = (
            update(Conversation)
            .where(mine)
            .values(
                last_seq=Conversation.last_seq + n, token_count=Conversation.token_count + tokens, updated_at=now()
            )
            .execution_options(synchronize_session=False)
        )
        if SQLITE:
            session.execute(statement)
            return session.exec(select(*found).where(mine)).one()
        return session.execute(statement.returning(*found)).one()

    def store(self, session, messages):
        tokens = [tokens_of(content) for _, content in messages]
        last_seq, total, created_at = self.advance(session, len(messages), sum(tokens))
        rows = []
        total -= sum(tokens)
        for i, (role, content) in enumerate(messages):
            total += tokens[i]
            rows.append({
                "user_id": self.user_id, "conversation_id": self.id, "seq": last_seq - len(messages) + i + 1,
                "id": str(uuid.uuid4()), "role": role, "content": content, "token_count": tokens[i],
                "token_total": total, "created_at": created_at,
            })
        session.execute(insert(Message.__table__), rows)
        return rows

    def append(self, role, content):
        with Session(engine) as session:
            rows = self.store(session, [(role, content)])
            session.commit()
            return rows[0]

    def append_many(self, messages):
        with Session(engine) as session:
            self.store(session, messages)
            session.commit()

    def newest(self, n):
        with Session(engine) as session:
            rows = session.exec(select(*self.COLUMNS).where(self.mine()).order_by(Message.seq.desc()).limit(n)).all()
            return rows[::-1]

    def context(self, max_tokens):
        columns = (Message.role, Message.content, Message.parts, Message.name, Message.tool_calls,
                   Message.tool_call_id, Message.token_count)
        is_pinned = Message.role.in_(("system", "developer"))
        with Session(engine) as session:
            kept = session.exec(select(*columns).where(self.mine(), is_pinned).order_by(Message.seq)).all()
            tokens = sum(m.token_count for m in kept)
            window = []
            rows = session.exec(
                select(*columns).where(self.mine(), ~is_pinned).order_by(Message.seq.desc()).limit(200)
            )
            for message in rows:
                tokens += message.token_count
                if tokens > max_tokens:
                    break
                window.append(message)
            return [{"role": m.role, "content": m.content} for m in kept + window[::-1]]

    def list(self, n):
        with Session(engine) as session:
            rows = session.exec(
                select(Conversation, Message.role, Message.content, Message.created_at)
                .join(Message, and_(
                    Message.user_id == Conversation.user_id,
                    Message.conversation_id == Conversation.id,
                    Message.seq == Conversation.last_seq,
                ), isouter=True)
                .where(Conversation.user_id == self.user_id, Conversation.deleted_at == None)  # noqa: E711
                .order_by(Conversation.updated_at.desc(), Conversation.id.desc())
                .limit(n)
            ).all()
            return [(conversation, role, content[:200]) for conversation, role, content, _ in rows]


styles = {"objects": Objects, "queries": Queries}
chats = {}


def call_of(name, user_id, conversation_id, *arguments):
    """A function for one call."""
    chat = chats.setdefault((user_id, conversation_id), styles[STYLE](user_id, conversation_id))
    if name == "append":
        return lambda: chat.append(*next_message())
    if name == "append_many":
        messages = [next_message() for _ in range(int(arguments[0]))]
        return lambda: chat.append_many(messages)
    if name == "search":
        state = {"i": 0}
        n, words = int(arguments[0]), arguments[1:]

        def search():
            word = words[state["i"] % len(words)]
            state["i"] += 1
            return chat.search(word, n)

        return search
    method, n = getattr(chat, name), int(arguments[0])
    return lambda: method(n)


def run(n, name, *arguments):
    call = call_of(name, *arguments)
    times = taken.setdefault(name, [])
    gc.collect()
    total = 0
    for _ in range(int(n)):
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        total += seconds
        times.append(seconds)
    return "%.9f" % total


def durability(level):
    global synchronous
    synchronous = level
    engine.dispose()
    return "good"


def forget():
    taken.clear()
    return "good"


def percentile(name, percent):
    times = sorted(taken[name])
    return "%.9f" % times[max(1, math.ceil(len(times) * float(percent) / 100)) - 1]


def line_of(row):
    if isinstance(row, dict):
        return "\t".join(("", row["role"], row["content"]))
    if isinstance(row, tuple) and isinstance(row[0], Conversation):
        return "\t".join((row[0].id, str(row[0].last_seq), row[1], row[2][:40]))
    return "\t".join((str(row.seq), row.role, row.content))


def show(path, name, *arguments):
    with open(path, "w", encoding="utf-8") as file:
        for row in call_of(name, *arguments)():
            file.write(line_of(row) + "\n")
    return "good"


def resident(field):
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":"))


def memory(user_id, conversation_id):
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
    gc.collect()
    with open("/proc/self/clear_refs", "w", encoding="ascii") as clear:
        clear.write("5")
    before, count = resident("VmRSS"), 0
    for message in styles[STYLE](user_id, conversation_id).each():
        count += 1
        assert message.seq == count
    return "%d %d %d" % (count, before, resident("VmHWM") - before)


orders = {"run": run, "durability": durability, "forget": forget, "percentile": percentile, "show": show, "memory": memory}
print("ready", flush=True)
for order in sys.stdin:
    words = order.rstrip("\n").split("\t")
    if words[0] == "quit":
        break
    print(orders[words[0]](*words[1:]), flush=True)
