// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/caller.h"
#include "fusefs/launcher.h"
#include "fusefs/stderr_capture.h"

#include "support/catch.h"

#include <csignal>
#include <cstdio>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace daxpin;
using namespace daxpin::fusefs;

TEST_CASE("caller: capabilities are the thread's own, in our namespace", "[fusefs]") {
    const auto own = effective_capabilities(::gettid());
    REQUIRE(own);
    const auto caller = make_caller(1, 2, 022, ::gettid());
    for (int capability = 0; capability < 40; ++capability)
        CHECK(caller.capable(capability) == ((*own >> capability & 1) != 0));
}

TEST_CASE("caller: nobody we can see has no capability", "[fusefs]") {
    CHECK_FALSE(effective_capabilities(0));
    CHECK_FALSE(effective_capabilities(-1));
    CHECK_FALSE(effective_capabilities(0x7fffffff));
    CHECK_FALSE(make_caller(0, 0, 0, 0).capable(0));
}

TEST_CASE("caller: capabilities of another user namespace do not count", "[fusefs]") {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) { // root of a namespace of its own: it has every capability there
        const char unshared = ::unshare(CLONE_NEWUSER) == 0 ? 1 : 0;
        static_cast<void>(::write(ready[1], &unshared, 1) == 1);
        for (;;)
            ::pause();
    }
    char unshared = 0;
    REQUIRE(::read(ready[0], &unshared, 1) == 1);
    if (unshared == 1)
        CHECK_FALSE(effective_capabilities(child));
    else
        test::skip("this system allows no user namespaces");
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_CASE("exit status: follows mount(8)", "[fusefs]") {
    CHECK(exit_status(Errc::access) == 1);
    CHECK(exit_status(Errc::out_of_memory) == 2);
    CHECK(exit_status(Errc::busy) == 32);
    CHECK(exit_status(Errc::missing) == 32);
}

TEST_CASE("launch: the parent exits with what the child reports", "[fusefs]") {
    StderrCapture capture;
    const int status = launch(false, [](Reporter &reporter) -> int {
        reporter.failed(exit_mount, "no such luck");
        ::_exit(exit_mount);
    });
    CHECK(status == exit_mount);
    CHECK(capture.finish() == "daxpinfs: no such luck");
}

TEST_CASE("launch: a child that is ready lets the parent go", "[fusefs]") {
    const int status = launch(false, [](Reporter &reporter) -> int {
        reporter.ready("");
        ::_exit(7); // too late to matter
    });
    CHECK(status == exit_success);
}

TEST_CASE("launch: a child that dies without a word is an internal error", "[fusefs]") {
    StderrCapture capture;
    const int status = launch(false, [](Reporter &) -> int { ::_exit(3); });
    CHECK(status == exit_internal);
    CHECK_THAT(capture.finish(), Catch::Contains("exit status 3"));
}

TEST_CASE("stderr capture: gives the last line without the program's name", "[fusefs]") {
    StderrCapture capture;
    std::fputs("first\nfusermount3: second\n", stderr);
    CHECK(capture.finish() == "second");
    StderrCapture empty;
    CHECK(empty.finish() == "no reason given");
}
