// SPDX-License-Identifier: BSD-3-Clause
//
// Sequences of operations, on a volume and on the crash suite's oracle; then power fails at one
// chosen event, and the crash suite says whether what is left is legal. A wrong answer, a finding
// of fsck, a broken promise after the crash: each is a finding.
//
// Input: the starting image, the crash (moment, event, state), then operations of 8 bytes.
#include "crash/explorer.h"
#include "fuzz/input.h"
#include "fuzz/mutate.h"

#include <iterator>

namespace {

using namespace daxpin;
using namespace daxpin::crash;

constexpr std::uint64_t block = block_size;
constexpr std::size_t operations_max = 24;
constexpr std::uint64_t file_bytes_max = 12 * block;

struct Head {
    std::uint8_t start;
    std::uint8_t moment;
    std::uint16_t event;
    std::uint16_t state;
    std::uint16_t reserved;
};

struct Action {
    std::uint8_t what;
    std::uint8_t path;
    std::uint8_t other;
    std::uint8_t mode;
    std::uint16_t offset;
    std::uint16_t length;
};
static_assert(sizeof(Head) == 8 && sizeof(Action) == 8);

constexpr const char *files[] = {"foo", "bar", "A/foo", "A/bar", "A/C/bar", "B/foo", "baz", "A/C"};
constexpr const char *directories[] = {"A", "B", "A/C", ""};
constexpr const char *slots[] = {"x", "y"};
constexpr const char *attributes[] = {"user.a", "user.b", "user.large"};

template <std::size_t n> std::string pick(const char *const (&names)[n], unsigned number) {
    return names[number % n];
}

// A byte position: blocks and what lies near their edges.
std::uint64_t position(std::uint16_t value) {
    constexpr std::uint64_t edges[] = {0, 1, 7, 8, 63, 64, 100, 2048, 4032, 4088, 4095, 3};
    return (value & 7) * block + edges[(value >> 3) % std::size(edges)];
}

// Keeps account of what there is, so that only operations are asked for whose outcome the oracle
// knows: it was written for regular files and for names that lead where they should.
class Decoder {
  public:
    std::vector<Operation> operations;

    void add(const Action &action) {
        const auto mode = static_cast<volume::FallocateMode>(action.mode % 5);
        const std::string file = regular(action.path);
        const std::string name = file.starts_with('@') ? "" : file; // what is said when opening
        const std::uint64_t offset = position(action.offset);
        const std::uint64_t length = std::min(position(action.length) + 1,
                                              file_bytes_max - std::min(offset, file_bytes_max));
        switch (action.what % 20) {
        case 0:
            return make(create(pick(files, action.path), 0100600U | (action.mode & 077)), 'f');
        case 1:
            return make(mkdir(pick(directories, action.path)), 'd');
        case 2:
            return make(
                symlink(std::string(1 + action.length % 2000, 't'), pick(files, action.path)), 'l');
        case 3:
            return add_link(action);
        case 4:
            return remove(action);
        case 5:
            return move(action);
        case 6:
        case 7:
            return on(file, write(file, offset, length));
        case 8:
            return on(name, append(name, 1 + length % 5000));
        case 9:
            return on(file, truncate(file, offset));
        case 10:
            return on(file, fallocate(file, mode, offset, length));
        case 11: {
            const std::string to = regular(action.other);
            if (!to.empty() && node_of(to) != node_of(file))
                on(file, copy(file, offset, to, position(action.length), 1 + length % 9000));
            return;
        }
        case 12:
            return on(file, set_xattr(file, pick(attributes, action.other), action.length % 6000));
        case 13:
            return on(file, remove_xattr(file, pick(attributes, action.other)));
        case 14:
            return on(file, chmod(file, action.mode * 8U % 01000));
        case 15:
            return open_close(action);
        case 16:
            return on(name, open_truncate(name));
        case 17:
            return operations.push_back(checkpoint());
        case 18:
            return operations.push_back(background());
        default:
            if (slots_.empty()) // an open file does not survive it
                operations.push_back(remount());
        }
    }

  private:
    using Node = std::shared_ptr<char>; // its type

    static std::string parent(const std::string &path) {
        const auto slash = path.rfind('/');
        return slash == std::string::npos ? "" : path.substr(0, slash);
    }
    Node node_of(const std::string &path) const {
        if (path.starts_with('@')) {
            const auto slot = slots_.find(path.substr(1));
            return slot == slots_.end() ? nullptr : slot->second;
        }
        const auto found = names_.find(path);
        return found == names_.end() ? nullptr : found->second;
    }
    char type(const std::string &path) const {
        const Node node = node_of(path);
        return node ? *node : '-';
    }
    bool has_parent(const std::string &path) const {
        return parent(path).empty() || type(parent(path)) == 'd';
    }
    bool is_empty(const std::string &directory) const {
        const auto below = names_.lower_bound(directory + "/");
        return below == names_.end() || !below->first.starts_with(directory + "/");
    }

    // A regular file by name or by descriptor, or nothing.
    std::string regular(unsigned number) const {
        std::string path = pick(files, number);
        if (number >= 192)
            path = "@" + pick(slots, number);
        return type(path) == 'f' ? path : "";
    }

    void make(Operation operation, char kind) {
        if (operation.path.empty() || !has_parent(operation.path))
            return;
        if (type(operation.path) == '-')
            names_[operation.path] = std::make_shared<char>(kind);
        operations.push_back(std::move(operation));
    }
    void on(const std::string &file, Operation operation) {
        if (!file.empty())
            operations.push_back(std::move(operation));
    }
    void add_link(const Action &action) {
        const std::string from = regular(action.path), to = pick(files, action.other);
        if (from.empty() || from.starts_with('@') || !has_parent(to))
            return;
        if (type(to) == '-')
            names_[to] = node_of(from);
        operations.push_back(link(from, to));
    }
    void remove(const Action &action) {
        const bool directory = (action.mode & 1) != 0;
        const std::string path =
            directory ? pick(directories, action.path) : pick(files, action.path);
        if (path.empty() || !has_parent(path))
            return;
        operations.push_back(directory ? rmdir(path) : unlink(path));
        const bool is_directory = type(path) == 'd';
        if (is_directory == directory && (!is_directory || is_empty(path)))
            names_.erase(path);
    }
    void move(const Action &action) {
        const bool directory = (action.mode & 4) != 0;
        const std::string from =
            directory ? pick(directories, action.path) : pick(files, action.path);
        const std::string to =
            directory ? pick(directories, action.other) : pick(files, action.other);
        const bool exchange = (action.mode & 3) == 1;
        const auto inside = [](const std::string &inner, const std::string &outer) {
            return inner == outer || inner.starts_with(outer + "/");
        };
        if (from.empty() || to.empty() || inside(to, from) || inside(from, to) ||
            !has_parent(from) || !has_parent(to))
            return;
        const auto mode = exchange                 ? volume::RenameMode::exchange
                          : (action.mode & 3) == 2 ? volume::RenameMode::no_replace
                                                   : volume::RenameMode::plain;
        operations.push_back(rename(from, to, mode));
        if (will_rename(from, to, mode))
            rename_names(from, to, exchange);
    }
    bool will_rename(const std::string &from, const std::string &to,
                     volume::RenameMode mode) const {
        if (type(from) == '-')
            return false;
        if (mode == volume::RenameMode::exchange)
            return type(to) != '-';
        if (type(to) == '-')
            return true;
        if (mode == volume::RenameMode::no_replace || node_of(from) == node_of(to))
            return false;
        return (type(from) == 'd') == (type(to) == 'd') && (type(to) != 'd' || is_empty(to));
    }
    void rename_names(const std::string &from, const std::string &to, bool exchange) {
        std::map<std::string, Node> moved;
        const auto take = [&](const std::string &at, const std::string &as, bool keep) {
            for (auto it = names_.lower_bound(at);
                 it != names_.end() && it->first.starts_with(at);) {
                if (it->first != at && it->first[at.size()] != '/') {
                    ++it;
                    continue;
                }
                if (keep)
                    moved[as + it->first.substr(at.size())] = it->second;
                it = names_.erase(it);
            }
        };
        take(to, from, exchange);
        take(from, to, true);
        names_.merge(moved);
    }
    void open_close(const Action &action) {
        const std::string slot = pick(slots, action.other);
        if (slots_.erase(slot) > 0)
            return operations.push_back(close(slot));
        if ((action.mode & 3) == 0) {
            slots_[slot] = std::make_shared<char>('f');
            return operations.push_back(open_unnamed("", slot));
        }
        const std::string file = regular(action.path);
        if (file.empty() || file.starts_with('@'))
            return;
        slots_[slot] = node_of(file);
        operations.push_back(open(file, slot));
    }

    std::map<std::string, Node> names_;
    std::map<std::string, Node> slots_;
};

[[noreturn]] void report(const Workload &workload, const std::string &text) {
    std::string all = text;
    for (const Operation &operation : workload.steps)
        all += "\n  " + describe(operation);
    fuzz::fail(all);
}

// The event of the recording that power fails at: a drain, an acknowledgement or a store.
std::optional<Token> choose(const Recording &recording, const Head &head) {
    std::vector<Token> tokens;
    const auto &events = recording.trace.events;
    for (std::size_t i = 0; i < events.size(); ++i) {
        Token token;
        token.event = i;
        if (events[i].kind == test::Event::Kind::drain)
            token.moment = head.moment % 3 == 1 ? 'A' : 'B';
        else if (events[i].kind == test::Event::Kind::store && head.moment % 3 == 2)
            token.moment = 'L';
        else
            continue;
        tokens.push_back(token);
    }
    if (tokens.empty())
        return std::nullopt;
    Token chosen = tokens[head.event * tokens.size() / 65536];
    chosen.state = chosen.moment == 'L' ? 0 : head.state % 16;
    return chosen;
}

void run(const Workload &workload, const Image &image, const Head &head) {
    Recording recording;
    try {
        recording = record(workload, image, 1);
    } catch (const Problem &problem) {
        report(workload, to_string(image) + ": " + problem.text);
    }
    const auto token = choose(recording, head);
    if (!token)
        return;
    Counters counters;
    Explorer explorer(image, Plan{}, counters,
                      {[&](const Token &where, const std::string &text) {
                           report(workload, to_string(where) + ": " + text);
                       },
                       [](const Token &) { return true; }});
    explorer.run({workload}, token);
}

} // namespace

DAXPIN_MUTATE_RECORDS(sizeof(Head), sizeof(Action));

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size) {
    fuzz::Input input(bytes, size);
    const auto head = input.take<Head>();
    Decoder decoder;
    while (!input.empty() && decoder.operations.size() < operations_max)
        decoder.add(input.take<Action>());
    if (decoder.operations.empty())
        return 0;
    constexpr Image images[] = {{.start = Start::fresh},
                                {.start = Start::dirty, .wrap = true},
                                {.start = Start::fresh, .wrap = true},
                                {.start = Start::lap},
                                {.start = Start::two_devices},
                                {.start = Start::fresh, .domain = device::Domain::byte},
                                {.start = Start::fresh, .domain = device::Domain::page}};
    run({"fuzz", {}, decoder.operations}, images[head.start % std::size(images)], head);
    return 0;
}
