// SPDX-License-Identifier: BSD-3-Clause
//
// fsstress: many processes in one directory tree, each doing every operation at random.
//
//   fsstress [--seed N] [--processes N] [--operations N] [--seconds S] [-v] DIRECTORY
//
// Each seed works in a tree of its own, DIRECTORY/seed-N, which is checked when its processes
// have ended; the tree of the seed before the last is removed. An errno that no race between
// processes explains (EIO, EUCLEAN, ESTALE and the like) is a failure, as is data that nobody
// wrote. With --seconds it goes on with the next seed until the time is over; each finished one
// is printed. What each process does follows from the seed, how they meet does not.
#include "fsstress.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <getopt.h>
#include <new>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace stress {
namespace {

struct Options {
    std::uint64_t seed = 1;
    unsigned processes = 8;
    std::uint64_t operations = 2000; // of each process
    double seconds = 0;              // 0: one seed
    bool verbose = false;
    std::string directory;
};

[[noreturn]] void usage(int status) {
    std::fprintf(status ? stderr : stdout,
                 "usage: fsstress [OPTION...] DIRECTORY\n"
                 "  --seed N        the first seed (1)\n"
                 "  --processes N   that work at the same time (8)\n"
                 "  --operations N  of each process and seed (2000)\n"
                 "  --seconds S     seed after seed until then; without it, one\n"
                 "  -v, --verbose   print every operation\n");
    std::exit(status);
}

std::uint64_t number(const char *text) {
    char *end = nullptr;
    const auto value = std::strtoull(text, &end, 0);
    if (end == text || *end != '\0')
        usage(2);
    return value;
}

Options parse(int argc, char **argv) {
    static const option known[] = {{"seed", required_argument, nullptr, 's'},
                                   {"processes", required_argument, nullptr, 'p'},
                                   {"operations", required_argument, nullptr, 'n'},
                                   {"seconds", required_argument, nullptr, 't'},
                                   {"verbose", no_argument, nullptr, 'v'},
                                   {"help", no_argument, nullptr, 'h'},
                                   {nullptr, 0, nullptr, 0}};
    Options options;
    for (int letter; (letter = getopt_long(argc, argv, "vh", known, nullptr)) != -1;) {
        switch (letter) {
        case 's':
            options.seed = number(optarg);
            break;
        case 'p':
            options.processes = static_cast<unsigned>(number(optarg));
            break;
        case 'n':
            options.operations = number(optarg);
            break;
        case 't':
            options.seconds = std::atof(optarg);
            break;
        case 'v':
            options.verbose = true;
            break;
        default:
            usage(letter == 'h' ? 0 : 2);
        }
    }
    if (optind + 1 != argc || options.processes == 0 || options.processes > 99)
        usage(2);
    options.directory = argv[optind];
    return options;
}

Tally &shared_tally() {
    void *made =
        mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        throw std::system_error(errno, std::generic_category(), "mmap");
    return *new (made) Tally{};
}

[[noreturn]] void work(const Options &options, std::uint64_t seed, unsigned process,
                       const std::string &tree, Tally &tally) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int status = 1;
    try {
        if (chdir(tree.c_str()) != 0)
            throw std::system_error(errno, std::generic_category(), tree);
        Actor(seed, process, tally, options.verbose).run(options.operations);
        status = 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "seed %lu, %s", seed, error.what());
    }
    std::fflush(nullptr);
    _exit(status);
}

// Waits for all of them; one that failed ends the others.
void wait_for(std::vector<pid_t> children) {
    std::string failure;
    while (!children.empty()) {
        int status = 0;
        const pid_t ended = wait(&status);
        if (ended < 0)
            throw std::system_error(errno, std::generic_category(), "wait");
        std::erase(children, ended);
        if (status == 0 || !failure.empty())
            continue;
        failure = WIFSIGNALED(status) ? format("a process died of signal %d", WTERMSIG(status))
                                      : "a process failed";
        for (const pid_t child : children)
            kill(child, SIGKILL);
    }
    if (!failure.empty())
        throw Violation(failure);
}

std::string tree_of(const Options &options, std::uint64_t seed) {
    return options.directory + "/seed-" + std::to_string(seed);
}

void remove_if_there(const std::string &tree) {
    struct stat info {};
    if (lstat(tree.c_str(), &info) == 0)
        remove_tree(tree);
}

// With the directories that the processes look into; they remove and make them, too.
void make_tree(const std::string &tree) {
    std::vector<std::string> folders = {tree};
    for (const auto *first : {"/d0", "/d1", "/d2"}) {
        folders.push_back(tree + first);
        for (const auto *second : {"/d0", "/d1", "/d2"})
            folders.push_back(tree + first + second);
    }
    for (const auto &folder : folders)
        if (mkdir(folder.c_str(), 0755) != 0)
            throw std::system_error(errno, std::generic_category(), folder);
}

void run_seed(const Options &options, std::uint64_t seed, Tally &tally) {
    const auto tree = tree_of(options, seed);
    remove_if_there(tree);
    if (seed >= 2)
        remove_if_there(tree_of(options, seed - 2));
    make_tree(tree);
    std::fflush(nullptr);
    std::vector<pid_t> children;
    for (unsigned process = 0; process < options.processes; ++process) {
        const pid_t child = fork();
        if (child == 0)
            work(options, seed, process, tree, tally);
        children.push_back(child);
    }
    wait_for(std::move(children));
    check_tree(tree, seed % 2 == 0);
    std::printf("seed %lu: %lu operations\n", seed, options.operations * options.processes);
    std::fflush(stdout);
}

void print(const Tally &tally) {
    std::printf("%-12s %10s %10s\n", "", "done", "refused");
    for (std::size_t i = 0; i < actions().size(); ++i) {
        const auto &count = tally.actions[i];
        std::printf("%-12s %10lu %10lu", actions()[i].name, count.done.load(),
                    count.refused.load());
        if (count.unsupported != 0)
            std::printf("  (%lu unsupported)", count.unsupported.load());
        std::printf("\n");
    }
}

void run(const Options &options) {
    Tally &tally = shared_tally();
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
    auto seed = options.seed;
    do {
        try {
            run_seed(options, seed, tally);
        } catch (const std::exception &error) {
            throw Violation(format("seed %lu: %s\nagain: fsstress --seed %lu --processes %u "
                                   "--operations %lu %s",
                                   seed, error.what(), seed, options.processes, options.operations,
                                   options.directory.c_str()));
        }
        ++seed;
    } while (std::chrono::steady_clock::now() < end);
    print(tally);
}

} // namespace
} // namespace stress

int main(int argc, char **argv) {
    const auto options = stress::parse(argc, argv);
    umask(0);
    try {
        stress::run(options);
    } catch (const std::exception &error) {
        std::fflush(stdout);
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
