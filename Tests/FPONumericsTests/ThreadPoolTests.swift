import FPONumerics
import Glibc
import Synchronization
import Testing

/// Runs `tasks` that each count themselves, and says whether all ran once.
private func allRunOnce(_ tasks: Int) -> Bool {
    let hits = UnsafeMutablePointer<Int>.allocate(capacity: max(tasks, 1))
    defer { hits.deallocate() }
    hits.initialize(repeating: 0, count: max(tasks, 1))
    ThreadPool.shared.run(tasks: tasks) { hits[$0] += 1 }
    return (0..<tasks).allSatisfy { hits[$0] == 1 }
}

/// Whether two tasks saw each other within 20 ms, which takes two threads. Another test that holds
/// the pool at this moment makes it fail, hence the repetitions below.
private func twoTasksMeet() -> Bool {
    let arrived = Atomic<Int>(0)
    let met = Atomic<Int>(0)
    ThreadPool.shared.run(tasks: 2) { _ in
        arrived.add(1, ordering: .sequentiallyConsistent)
        for _ in 0..<200 {
            if arrived.load(ordering: .sequentiallyConsistent) == 2 {
                met.add(1, ordering: .relaxed)
                return
            }
            usleep(100)
        }
    }
    return met.load(ordering: .relaxed) == 2
}

/// The pool is one for the process, and so is its count: one test after the other.
@Suite(.serialized) struct ThreadPoolTests {
    @Test(arguments: [1, 2, 4, 7], [0, 1, 2, 3, 64, 1000])
    func runsEachTaskOnce(threads: Int, tasks: Int) {
        ThreadPool.shared.count = threads
        defer { ThreadPool.shared.count = 0 }
        for _ in 0..<100 { #expect(allRunOnce(tasks)) }
    }

    @Test func countIsBounded() {
        defer { ThreadPool.shared.count = 0 }
        ThreadPool.shared.count = 0
        #expect(ThreadPool.shared.count >= 1)
        ThreadPool.shared.count = 3
        #expect(ThreadPool.shared.count == 3)
        ThreadPool.shared.count = .max
        #expect(ThreadPool.shared.count == ThreadPool.maximumCount)
        ThreadPool.shared.count = .min
        #expect(ThreadPool.shared.count >= 1)
    }

    @Test func tasksRunAtOnce() {
        ThreadPool.shared.count = 2
        defer { ThreadPool.shared.count = 0 }
        #expect((0..<100).contains { _ in twoTasksMeet() })
    }

    @Test func wakesSleepingWorkers() {
        ThreadPool.shared.count = 2
        defer { ThreadPool.shared.count = 0 }
        let met = (0..<100).contains { _ in
            usleep(5000)  // far beyond the spin: the workers sleep
            return twoTasksMeet()
        }
        #expect(met)
    }

    @Test func childOfForkStartsAfresh() throws {
        ThreadPool.shared.count = 2
        defer { ThreadPool.shared.count = 0 }
        #expect(allRunOnce(16))
        typealias Fork = @convention(c) () -> pid_t
        let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: Fork.self)
        let child = fork()
        if child == 0 {
            alarm(20)  // a deadlock ends here
            _exit(allRunOnce(64) && (0..<100).contains { _ in twoTasksMeet() } ? 0 : 1)
        }
        var status: Int32 = -1
        #expect(waitpid(child, &status, 0) == child)
        #expect(status == 0)
        #expect(allRunOnce(16))
    }

    @Test func nestedRegionsRunSerially() {
        ThreadPool.shared.count = 4
        defer { ThreadPool.shared.count = 0 }
        let total = Atomic<Int>(0)
        ThreadPool.shared.run(tasks: 8) { _ in
            let thread = pthread_self()
            ThreadPool.shared.run(tasks: 5) { _ in
                #expect(pthread_equal(thread, pthread_self()) != 0)
                total.add(1, ordering: .relaxed)
            }
        }
        #expect(total.load(ordering: .relaxed) == 40)
    }

    @Test func servesConcurrentCallers() async {
        ThreadPool.shared.count = 3
        defer { ThreadPool.shared.count = 0 }
        await withTaskGroup(of: Bool.self) { group in
            for caller in 0..<4 {
                group.addTask { (0..<300).allSatisfy { allRunOnce(1 + ($0 + caller) % 9) } }
            }
            for await correct in group { #expect(correct) }
        }
    }
}
