// SPDX-License-Identifier: BSD-3-Clause
#include "crash/ace.h"

#include "crash/oracle.h"

#include <algorithm>

namespace daxpin::crash {

namespace {

const std::vector<std::string> files{"foo", "A/foo"};
const std::vector<std::string> second_files{"bar", "A/bar", "A/C/bar"};
const std::vector<std::string> directories{"A"};
const std::vector<std::string> second_directories{"B", "A/C"};

constexpr std::uint64_t page = 4096; // appended by a write
constexpr std::uint64_t part = 1024; // overwritten at the start; beyond the end: twice that
constexpr std::uint64_t size_unaligned = 256; // of a truncation

struct AceOperation {
    Op op;
    std::string path;
    std::string other;  // link, rename
    std::string option; // append, start, extend; 0, 256; remove
};

std::vector<std::string> joined(const std::vector<std::string> &one,
                                const std::vector<std::string> &other) {
    auto all = one;
    all.insert(all.end(), other.begin(), other.end());
    return all;
}

void add_each(std::vector<AceOperation> &all, Op op, const std::vector<std::string> &paths,
              const std::vector<std::string> &options) {
    for (const auto &path : paths) {
        for (const auto &option : options)
            all.push_back({op, path, {}, option});
    }
}

void add_pairs(std::vector<AceOperation> &all, Op op, const std::vector<std::string> &from,
               const std::vector<std::string> &to) {
    for (const auto &path : from) {
        for (const auto &other : to) {
            if (path != other)
                all.push_back({op, path, other, {}});
        }
    }
}

std::vector<AceOperation> make_operations() {
    std::vector<AceOperation> all;
    const auto all_files = joined(files, second_files);
    add_each(all, Op::create, files, {""});
    add_each(all, Op::mkdir, directories, {""});
    add_each(all, Op::fallocate, files, {"append", "start", "extend"});
    add_each(all, Op::write, files, {"append", "start"});
    add_pairs(all, Op::link, all_files, second_files);
    add_each(all, Op::unlink, all_files, {"", "remove"});
    add_pairs(all, Op::rename, all_files, second_files);
    add_pairs(all, Op::rename, joined(directories, second_directories), second_directories);
    add_each(all, Op::truncate, files, {"0", "256"});
    add_each(all, Op::rmdir, directories, {""});
    return all;
}

const std::vector<AceOperation> &operations() {
    static const std::vector<AceOperation> all = make_operations();
    return all;
}

// As names of workloads have it: no slashes.
std::string flat(std::string path) {
    std::erase(path, '/');
    return path;
}

std::string label(const AceOperation &operation) {
    const bool removes = operation.option == "remove";
    std::string text = removes ? "remove" : to_string(operation.op);
    for (const std::string &word :
         {flat(operation.path), flat(operation.other), removes ? "" : operation.option}) {
        if (!word.empty())
            text += "-" + word;
    }
    return text;
}

// Lays out a sequence: what each operation needs, and the operation itself. Follows what is there
// with an oracle.
class Layout {
  public:
    void add_needs(const AceOperation &operation);
    void add(const AceOperation &operation);
    const std::vector<Operation> &laid() const { return laid_; }

  private:
    void lay(const Operation &operation) {
        static_cast<void>(names_.perform(operation, operation.length));
        laid_.push_back(operation);
    }
    bool is_there(const std::string &path) const { return names_.size_of(path).has_value(); }
    void need_directory(const std::string &path);
    void need_parent(const std::string &path);
    void need_file(const std::string &path);
    void need_nothing(const std::string &path);

    Oracle names_;
    std::vector<Operation> laid_;
};

void Layout::need_directory(const std::string &path) {
    if (is_there(path))
        return;
    need_parent(path);
    lay(mkdir(path));
}

void Layout::need_parent(const std::string &path) {
    if (const std::size_t slash = path.rfind('/'); slash != std::string::npos)
        need_directory(path.substr(0, slash));
}

void Layout::need_file(const std::string &path) {
    need_parent(path);
    if (!is_there(path))
        lay(create(path));
}

void Layout::need_nothing(const std::string &path) {
    need_parent(path);
    for (const std::string &child : names_.children(path))
        need_nothing(path + "/" + child);
    if (is_there(path))
        lay(names_.is_directory(path) ? rmdir(path) : unlink(path));
}

void Layout::add_needs(const AceOperation &operation) {
    const bool on_directory =
        std::ranges::count(joined(directories, second_directories), operation.path) > 0;
    switch (operation.op) {
    case Op::create:
    case Op::mkdir:
        return need_nothing(operation.path);
    case Op::link:
        need_file(operation.path);
        return need_nothing(operation.other);
    case Op::rename:
        need_parent(operation.other);
        return on_directory ? need_directory(operation.path) : need_file(operation.path);
    case Op::rmdir:
        return need_directory(operation.path);
    case Op::unlink:
        return need_file(operation.path);
    default: { // changes the data of a file that has some
        need_file(operation.path);
        const bool appends = operation.op == Op::write && operation.option == "append";
        if (!appends && *names_.size_of(operation.path) == 0)
            lay(write(operation.path, 0, page));
    }
    }
}

void Layout::add(const AceOperation &operation) {
    const std::string &path = operation.path;
    const std::uint64_t size = names_.size_of(path).value_or(0);
    const bool at_start = operation.option == "start";
    switch (operation.op) {
    case Op::create:
        return lay(create(path));
    case Op::mkdir:
        return lay(mkdir(path));
    case Op::link:
        return lay(link(path, operation.other));
    case Op::rename:
        return lay(rename(path, operation.other));
    case Op::rmdir:
        return lay(rmdir(path));
    case Op::unlink:
        lay(unlink(path));
        if (operation.option == "remove")
            lay(background());
        return;
    case Op::write:
        return lay(at_start ? write(path, 0, part) : write(path, size, page));
    case Op::truncate:
        return lay(truncate(path, operation.option == "0" ? 0 : size_unaligned));
    default: {
        const bool extends = operation.option == "extend";
        const std::uint64_t offset = at_start ? 0 : extends ? size - std::min(size, part) : size;
        const std::uint64_t length = at_start ? part : extends ? 2 * part : page;
        lay(fallocate(path, volume::FallocateMode::allocate_keep_size, offset, length));
    }
    }
}

} // namespace

std::size_t ace_operation_count() {
    return operations().size();
}

bool is_ace_core(std::size_t operation) {
    const AceOperation &chosen = operations()[operation];
    return chosen.op == Op::write || chosen.op == Op::link || chosen.op == Op::rename ||
           (chosen.op == Op::unlink && chosen.option.empty());
}

std::string ace_name(const AceSequence &sequence) {
    std::string name = "ace";
    for (const std::size_t number : sequence)
        name += "." + label(operations()[number]);
    return name;
}

Workload ace_workload(const AceSequence &sequence) {
    Layout layout;
    for (std::size_t i = 0; i + 1 < sequence.size(); ++i) {
        layout.add_needs(operations()[sequence[i]]);
        layout.add(operations()[sequence[i]]);
    }
    layout.add_needs(operations()[sequence.back()]);
    const auto needs = static_cast<std::ptrdiff_t>(layout.laid().size());
    layout.add(operations()[sequence.back()]);
    const auto &laid = layout.laid();
    return {ace_name(sequence),
            {laid.begin(), laid.begin() + needs},
            {laid.begin() + needs, laid.end()}};
}

std::vector<AceSequence> ace_branches(const AceSequence &prefix) {
    const bool only_core = prefix.size() + 1 == ace_length_max;
    std::vector<AceSequence> branches;
    if (prefix.size() >= ace_length_max || (only_core && !std::ranges::all_of(prefix, is_ace_core)))
        return branches;
    for (std::size_t i = 0; i < operations().size(); ++i) {
        if (only_core && !is_ace_core(i))
            continue;
        branches.push_back(prefix);
        branches.back().push_back(i);
    }
    return branches;
}

std::vector<AceSequence> ace_prefixes(std::size_t length) {
    std::vector<AceSequence> prefixes{{}};
    for (std::size_t i = 0; i < length; ++i) {
        std::vector<AceSequence> longer;
        for (const AceSequence &prefix : prefixes)
            for (AceSequence &branch : ace_branches(prefix))
                longer.push_back(std::move(branch));
        prefixes = std::move(longer);
    }
    std::erase_if(prefixes, [](const auto &prefix) { return ace_branches(prefix).empty(); });
    return prefixes;
}

} // namespace daxpin::crash
