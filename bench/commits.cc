// SPDX-License-Identifier: BSD-3-Clause
//
// Durable transactions of LMDB and SQLite: one record of 100 bytes in each.
//
//   commits --database lmdb|sqlite-wal|sqlite-delete [--transactions N] FOLDER
//   commits --database ... [--transactions N] --check FOLDER
//
// Makes a new database in FOLDER, which is empty, and prints the microseconds that a transaction
// took; or checks that such a database holds all of its records, and no others. bench/databases
// runs it. LMDB syncs each commit; SQLite has synchronous=FULL and a write-ahead log or a rollback
// journal. Else both are as they come.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <lmdb.h>
#include <memory>
#include <sqlite3.h>
#include <string>

namespace {

constexpr std::size_t value_bytes = 100;
constexpr std::size_t map_bytes = std::size_t{1} << 30; // the most that LMDB may grow to

[[noreturn]] void fail(const std::string &what) {
    std::fprintf(stderr, "commits: %s\n", what.c_str());
    std::exit(1);
}

// Scattered over the whole tree, and different for each record.
std::string key_of(std::uint64_t record) {
    char text[17];
    std::snprintf(text, sizeof text, "%016" PRIx64, record * 0x9e3779b97f4a7c15);
    return text;
}

std::string value_of(std::uint64_t record) {
    std::string value = std::to_string(record);
    value.resize(value_bytes, static_cast<char>('a' + record % 26));
    return value;
}

class Database {
  public:
    Database() = default;
    virtual ~Database() = default;
    Database(const Database &) = delete;
    Database &operator=(const Database &) = delete;

    virtual void insert(std::uint64_t record) = 0; // durable on return
    virtual std::string get(std::uint64_t record) = 0;
    virtual std::uint64_t count() = 0;
};

class Lmdb final : public Database {
  public:
    explicit Lmdb(const std::string &folder) {
        check(mdb_env_create(&environment_));
        check(mdb_env_set_mapsize(environment_, map_bytes));
        check(mdb_env_open(environment_, folder.c_str(), 0, 0644));
        MDB_txn *const transaction = begin(MDB_RDONLY);
        check(mdb_dbi_open(transaction, nullptr, 0, &table_));
        check(mdb_txn_commit(transaction));
    }
    ~Lmdb() override { mdb_env_close(environment_); }

    void insert(std::uint64_t record) override {
        std::string key = key_of(record);
        std::string value = value_of(record);
        MDB_val key_bytes = bytes_of(key);
        MDB_val value_to_put = bytes_of(value);
        MDB_txn *const transaction = begin(0);
        check(mdb_put(transaction, table_, &key_bytes, &value_to_put, 0));
        check(mdb_txn_commit(transaction));
    }
    std::string get(std::uint64_t record) override {
        std::string key = key_of(record);
        MDB_val key_bytes = bytes_of(key);
        MDB_val found;
        MDB_txn *const transaction = begin(MDB_RDONLY);
        check(mdb_get(transaction, table_, &key_bytes, &found));
        std::string value(static_cast<const char *>(found.mv_data), found.mv_size);
        mdb_txn_abort(transaction);
        return value;
    }
    std::uint64_t count() override {
        MDB_stat status;
        check(mdb_env_stat(environment_, &status));
        return status.ms_entries;
    }

  private:
    static void check(int done) {
        if (done != 0)
            fail(std::string("LMDB: ") + mdb_strerror(done));
    }
    static MDB_val bytes_of(std::string &text) { return {text.size(), text.data()}; }
    MDB_txn *begin(unsigned flags) {
        MDB_txn *transaction = nullptr;
        check(mdb_txn_begin(environment_, nullptr, flags, &transaction));
        return transaction;
    }

    MDB_env *environment_ = nullptr;
    MDB_dbi table_ = 0;
};

class Sqlite final : public Database {
  public:
    Sqlite(const std::string &folder, const std::string &journal) {
        check(sqlite3_open((folder + "/data.sqlite").c_str(), &connection_));
        const std::string mode = first_column("PRAGMA journal_mode=" + journal);
        if (mode != journal)
            fail("SQLite: the journal's mode is " + mode + ", not " + journal);
        run("PRAGMA synchronous=FULL");
        run("CREATE TABLE IF NOT EXISTS records (record INTEGER PRIMARY KEY, value TEXT)");
        insert_ = prepared("INSERT INTO records VALUES (?, ?)");
        get_ = prepared("SELECT value FROM records WHERE record = ?");
    }
    ~Sqlite() override {
        sqlite3_finalize(insert_);
        sqlite3_finalize(get_);
        sqlite3_close(connection_);
    }

    void insert(std::uint64_t record) override {
        const std::string value = value_of(record);
        check(sqlite3_bind_int64(insert_, 1, static_cast<sqlite3_int64>(record)));
        check(sqlite3_bind_text(insert_, 2, value.data(), value_bytes, SQLITE_STATIC));
        step(insert_, SQLITE_DONE);
        check(sqlite3_reset(insert_));
    }
    std::string get(std::uint64_t record) override {
        check(sqlite3_bind_int64(get_, 1, static_cast<sqlite3_int64>(record)));
        step(get_, SQLITE_ROW);
        std::string value = column(get_);
        check(sqlite3_reset(get_));
        return value;
    }
    std::uint64_t count() override {
        if (first_column("PRAGMA integrity_check") != "ok")
            fail("SQLite: the database is corrupt");
        return std::stoull(first_column("SELECT count(*) FROM records"));
    }

  private:
    void check(int done) {
        if (done != SQLITE_OK)
            fail(std::string("SQLite: ") + sqlite3_errmsg(connection_));
    }
    void step(sqlite3_stmt *statement, int wanted) {
        if (sqlite3_step(statement) != wanted)
            fail(std::string("SQLite: ") + sqlite3_errmsg(connection_));
    }
    void run(const std::string &text) {
        check(sqlite3_exec(connection_, text.c_str(), nullptr, nullptr, nullptr));
    }
    sqlite3_stmt *prepared(const std::string &text) {
        sqlite3_stmt *statement = nullptr;
        check(sqlite3_prepare_v2(connection_, text.c_str(), -1, &statement, nullptr));
        return statement;
    }
    static std::string column(sqlite3_stmt *statement) {
        return reinterpret_cast<const char *>(sqlite3_column_text(statement, 0));
    }
    std::string first_column(const std::string &text) {
        sqlite3_stmt *const statement = prepared(text);
        step(statement, SQLITE_ROW);
        std::string value = column(statement);
        sqlite3_finalize(statement);
        return value;
    }

    sqlite3 *connection_ = nullptr;
    sqlite3_stmt *insert_ = nullptr;
    sqlite3_stmt *get_ = nullptr;
};

std::unique_ptr<Database> opened(const std::string &kind, const std::string &folder) {
    if (kind == "lmdb")
        return std::make_unique<Lmdb>(folder);
    return std::make_unique<Sqlite>(folder, kind == "sqlite-wal" ? "wal" : "delete");
}

double microseconds_each(Database &database, std::uint64_t transactions) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t record = 0; record < transactions; ++record)
        database.insert(record);
    const std::chrono::duration<double, std::micro> taken =
        std::chrono::steady_clock::now() - begin;
    return taken.count() / static_cast<double>(transactions);
}

void check(Database &database, std::uint64_t records) {
    if (const std::uint64_t count = database.count(); count != records)
        fail(std::to_string(count) + " records, not " + std::to_string(records));
    for (std::uint64_t record = 0; record < records; ++record)
        if (database.get(record) != value_of(record))
            fail("record " + std::to_string(record) + " has another value");
}

} // namespace

int main(int argc, char **argv) {
    CLI::App app{"Durable transactions of LMDB and SQLite, one record of 100 bytes in each."};
    std::string kind;
    std::string folder;
    std::uint64_t transactions = 2000;
    bool only_check = false;
    app.add_option("--database", kind)
        ->required()
        ->check(CLI::IsMember({"lmdb", "sqlite-wal", "sqlite-delete"}));
    app.add_option("--transactions", transactions)->check(CLI::PositiveNumber);
    app.add_flag("--check", only_check, "Check the records of an earlier run.");
    app.add_option("folder", folder)->required()->check(CLI::ExistingDirectory);
    CLI11_PARSE(app, argc, argv);
    const auto database = opened(kind, folder);
    if (only_check)
        check(*database, transactions);
    else
        std::printf("%.3f\n", microseconds_each(*database, transactions));
    return 0;
}
