#include "db/copy_stream.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <charconv>
#include <memory>

#include "db/error.h"
#include "db/message.h"

namespace pawl::db {
namespace {

// A block is handed on at this size. 256 KiB is some 800 rows of 300 bytes, about 1 ms of reading,
// and fits a core's second-level cache together with the block read behind it.
constexpr std::size_t kBlockBytes = 256 * 1024;

// A block that had to grow for one wide row gives that memory back above this size.
constexpr std::size_t kBlockBytesKept = 4 * kBlockBytes;

// The stream's header: this signature (its NUL included), 32 flags, the length of an extension.
constexpr std::string_view kSignature{"PGCOPY\n\377\r\n\0", 11};
constexpr std::size_t kHeaderBytes = kSignature.size() + 4 + 4;
// The upper 16 flags are critical: a reader that does not know them must give up.
constexpr std::uint32_t kCriticalFlags = 0xFFFF0000;
constexpr std::size_t kFieldCountBytes = 2;
constexpr std::size_t kFieldLengthBytes = 4;

struct PgDelete {
  void operator()(PGresult* result) const { PQclear(result); }
  void operator()(PGcancel* cancel) const { PQfreeCancel(cancel); }
  void operator()(char* memory) const { PQfreemem(memory); }
};
using Result = std::unique_ptr<PGresult, PgDelete>;

std::uint32_t BigEndian32(const char* bytes) {
  const auto byte = [bytes](int index) {
    return std::uint32_t{static_cast<unsigned char>(bytes[index])};
  };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

std::int16_t BigEndian16(const char* bytes) {
  const auto high = static_cast<unsigned char>(bytes[0]);
  const auto low = static_cast<unsigned char>(bytes[1]);
  return static_cast<std::int16_t>(high << 8 | low);
}

[[noreturn]] void FailResult(PGconn* connection, const PGresult* result) {
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string sqlstate = state == nullptr ? "" : state;
  const char* message =
      result == nullptr ? PQerrorMessage(connection) : PQresultErrorMessage(result);
  throw Error(ActionFor(sqlstate),
              fmt::format("Cannot read rows with COPY: {}.", CleanMessage(message)), sqlstate);
}

[[noreturn]] void FailStream(std::string_view what) {
  constexpr const char* kMessage =
      "The COPY stream is malformed: {}. Nothing read from it counts; check what stands between "
      "Pawl and the server, and read again.";
  throw Error(Action::kStop, fmt::format(kMessage, what));
}

// Returns the offset just behind the row at `begin`, or npos if the row is not all there yet.
std::size_t RowEnd(std::string_view bytes, std::size_t begin) {
  if (bytes.size() - begin < kFieldCountBytes) return std::string_view::npos;
  const int field_count = BigEndian16(bytes.data() + begin);
  if (field_count < 0) FailStream(fmt::format("a row claims {} fields", field_count));
  std::size_t at = begin + kFieldCountBytes;
  for (int field = 0; field < field_count; ++field) {
    if (bytes.size() - at < kFieldLengthBytes) return std::string_view::npos;
    const auto length = static_cast<std::int32_t>(BigEndian32(bytes.data() + at));
    at += kFieldLengthBytes;
    if (length == -1) continue;  // NULL: a length without a value.
    if (length < 0) FailStream(fmt::format("a field claims {} bytes", length));
    if (bytes.size() - at < static_cast<std::size_t>(length)) return std::string_view::npos;
    at += static_cast<std::size_t>(length);
  }
  return at;
}

bool IsTrailer(std::string_view bytes, std::size_t begin) {
  return bytes.size() - begin >= kFieldCountBytes && BigEndian16(bytes.data() + begin) == -1;
}

}  // namespace

CopyReader::CopyReader(pg_conn* connection, const std::string& copy_sql) : connection_(connection) {
  // With parameters (none) the server takes one statement only: nothing can ride along behind it.
  const Result result{
      PQexecParams(connection, copy_sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0)};
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_COPY_OUT && PQbinaryTuples(result.get()) == 1) {
    in_progress_ = true;
    return;
  }
  if (status == PGRES_FATAL_ERROR) FailResult(connection, result.get());
  Abandon();
  FailInput(
      fmt::format("Cannot read rows with this statement, because it is not a COPY … TO STDOUT "
                  "(FORMAT binary): {}",
                  copy_sql));
}

CopyReader::~CopyReader() {
  if (in_progress_) Abandon();
}

// Without the cancel, giving up on a large table early would mean to read all of it first.
void CopyReader::Abandon() {
  in_progress_ = false;
  if (PQtransactionStatus(connection_) == PQTRANS_ACTIVE) {
    const std::unique_ptr<PGcancel, PgDelete> cancel{PQgetCancel(connection_)};
    char ignored[256];
    // A cancel that fails costs time, not truth: the loops below then read to the end.
    if (cancel) PQcancel(cancel.get(), ignored, sizeof ignored);
  }
  char* message = nullptr;
  while (PQgetCopyData(connection_, &message, 0) > 0) PQfreemem(message);
  // A COPY FROM STDIN would wait for rows for ever; ending it is the only way out of it.
  for (Result result{PQgetResult(connection_)}; result; result.reset(PQgetResult(connection_))) {
    if (PQresultStatus(result.get()) == PGRES_COPY_IN) PQputCopyEnd(connection_, "not COPY TO");
  }
}

bool CopyReader::Read(CopyBlock& block) {
  block.row_ends_.clear();
  block.bytes_.clear();
  if (block.bytes_.capacity() > kBlockBytesKept) block.bytes_.shrink_to_fit();
  block.bytes_.reserve(kBlockBytes + kBlockBytes / 4);
  block.bytes_.append(unfinished_);
  unfinished_.clear();

  while (in_progress_ && (block.row_ends_.empty() || block.bytes_.size() < kBlockBytes)) {
    AppendMessage(block);
  }
  if (block.row_ends_.empty()) return false;

  const std::size_t rows_end = block.row_ends_.back();
  unfinished_.assign(block.bytes_, rows_end);
  row_count_ += static_cast<std::int64_t>(block.row_count());
  byte_count_ += static_cast<std::int64_t>(rows_end);
  return true;
}

// Takes one CopyData message, or ends the stream. The server sends one row per message, but nothing
// here relies on it: rows are found by their own lengths.
void CopyReader::AppendMessage(CopyBlock& block) {
  char* memory = nullptr;
  const int length = PQgetCopyData(connection_, &memory, 0);
  const std::unique_ptr<char, PgDelete> message{memory};
  if (length > 0) {
    block.bytes_.append(message.get(), static_cast<std::size_t>(length));
    ParseRows(block);
    return;
  }
  if (length == -2) FailResult(connection_, nullptr);
  const std::int64_t rows_sent = Finish();
  if (!trailer_seen_) FailStream("it ends without its trailer");
  const std::int64_t rows_read = row_count_ + static_cast<std::int64_t>(block.row_count());
  if (rows_read != rows_sent) {
    FailStream(fmt::format("the server counts {} rows, but {} arrived", rows_sent, rows_read));
  }
}

void CopyReader::ParseRows(CopyBlock& block) {
  if (!header_taken_) TakeHeader(block);
  if (!header_taken_) return;
  std::string& bytes = block.bytes_;
  std::size_t begin = block.row_ends_.empty() ? 0 : block.row_ends_.back();
  while (begin < bytes.size()) {
    if (trailer_seen_) FailStream("bytes follow its trailer");
    if (IsTrailer(bytes, begin)) {
      trailer_seen_ = true;
      bytes.erase(begin, kFieldCountBytes);
      continue;
    }
    const std::size_t end = RowEnd(bytes, begin);
    if (end == std::string_view::npos) return;
    block.row_ends_.push_back(end);
    begin = end;
  }
}

void CopyReader::TakeHeader(CopyBlock& block) {
  const std::string& bytes = block.bytes_;
  if (bytes.size() < kHeaderBytes) return;
  if (!bytes.starts_with(kSignature)) FailStream("it does not open with binary COPY's signature");
  const std::uint32_t flags = BigEndian32(bytes.data() + kSignature.size());
  if ((flags & kCriticalFlags) != 0) FailStream(fmt::format("its flags {:#x} are unknown", flags));
  const std::size_t extension_bytes = BigEndian32(bytes.data() + kSignature.size() + 4);
  if (bytes.size() - kHeaderBytes < extension_bytes) return;
  block.bytes_.erase(0, kHeaderBytes + extension_bytes);
  header_taken_ = true;
}

// Returns the number of rows that the server says it sent. Only its success makes them count.
std::int64_t CopyReader::Finish() {
  const Result result{PQgetResult(connection_)};
  while (Result{PQgetResult(connection_)}) {
  }
  in_progress_ = false;
  if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) FailResult(connection_, result.get());
  const std::string_view text = PQcmdTuples(result.get());
  std::int64_t rows_sent = -1;
  std::from_chars(text.data(), text.data() + text.size(), rows_sent);
  return rows_sent;
}

std::int64_t CopyRows(pg_conn* connection, const std::string& copy_sql,
                      const std::function<void(std::string_view)>& on_row) {
  CopyReader reader(connection, copy_sql);
  CopyBlock block;
  while (reader.Read(block)) {
    for (std::size_t index = 0; index < block.row_count(); ++index) on_row(block.row(index));
  }
  return reader.row_count();
}

std::optional<std::string_view> FirstField(std::string_view row) {
  if (BigEndian16(row.data()) == 0) {
    FailInput("Cannot name rows that have no columns. Select the key as the first column.");
  }
  const char* length_at = row.data() + kFieldCountBytes;
  const auto length = static_cast<std::int32_t>(BigEndian32(length_at));
  if (length < 0) return std::nullopt;
  return std::string_view{length_at + kFieldLengthBytes, static_cast<std::size_t>(length)};
}

}  // namespace pawl::db
