import CShims
import Glibc
import Synchronization

/// The worker threads of the process.
///
/// A region of `tasks` is claimed one task at a time from an atomic ticket, and the caller takes
/// part. Idle workers spin for 50 µs, then sleep. Which thread runs a task is not determined;
/// results stay the same for any number of threads if each task writes to its own place.
///
/// One region runs at a time. A region that is opened inside another, or while another thread's
/// is open, runs serially on its own thread: never a deadlock, never more threads than asked for.
public final class ThreadPool: Sendable {
    public static let shared = ThreadPool()

    /// The most threads that can be asked for.
    public static let maximumCount = 1024

    /// What was asked for; 0 stands for the processors that the process may run on.
    private let requested = Atomic<Int>(0)
    private let processors = Int(fpo_available_processors())

    /// Whether a region is open.
    private let open = Atomic<Bool>(false)
    /// `generation << 32 | unclaimed tasks`. Only a claim by compare-and-exchange gives the right
    /// to read `body` and `tasks`: it shows that their region is open.
    private let ticket = Atomic<UInt64>(0)
    /// Unfinished tasks; a futex on which the caller sleeps.
    private let pending = Atomic<UInt32>(0)
    /// Counts regions; a futex on which idle workers sleep.
    private let generation = Atomic<UInt32>(0)
    private let sleepers = Atomic<Int>(0)
    /// Workers from this index on leave the region alone.
    private let limit = Atomic<Int>(0)

    /// Written by the thread that opened the region, before the ticket is.
    nonisolated(unsafe) private var body: UnsafePointer<(Int) -> Void>?
    nonisolated(unsafe) private var tasks = 0
    nonisolated(unsafe) private var started = 0

    private init() {
        fpo_at_fork_child { ThreadPool.shared.forget() }
    }

    /// How many threads a region may use, the caller's own included. Setting 0 restores the
    /// default, the number of processors that the process may run on.
    public var count: Int {
        get {
            let asked = requested.load(ordering: .relaxed)
            return min(asked > 0 ? asked : processors, Self.maximumCount)
        }
        set { requested.store(min(max(newValue, 0), Self.maximumCount), ordering: .relaxed) }
    }

    /// Runs `body(0)`, …, `body(tasks − 1)`, in any order and at once, and returns when all are
    /// done.
    public func run(tasks: Int, _ body: (Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: body) { run(tasks: tasks, at: $0) }
        }
    }

    /// The same for a closure that the caller keeps: for many regions of one body, without an
    /// allocation for each.
    public func run(tasks: Int, at body: UnsafePointer<(Int) -> Void>) {
        let threads = min(count, tasks)
        guard threads > 1, tasks <= Int(UInt32.max),
            open.compareExchange(
                expected: false, desired: true, ordering: .acquiringAndReleasing
            ).exchanged
        else {
            var index = 0
            while index < tasks {
                body.pointee(index)
                index += 1
            }
            return
        }
        region(tasks: tasks, threads: threads, body)
        open.store(false, ordering: .releasing)
    }

    private func region(tasks: Int, threads: Int, _ body: UnsafePointer<(Int) -> Void>) {
        start(workers: threads - 1)
        self.body = body
        self.tasks = tasks
        limit.store(threads - 1, ordering: .relaxed)
        pending.store(UInt32(tasks), ordering: .relaxed)
        let round = generation.load(ordering: .relaxed) &+ 1
        ticket.store(UInt64(round) << 32 | UInt64(tasks), ordering: .releasing)
        generation.store(round, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
            // More workers than may take part: which of them would wake is not ours to choose.
            let wakes = started > threads - 1 ? Int32.max : Int32(threads - 1)
            withUnsafePointer(to: generation) { fpo_futex_wake($0, wakes) }
        }
        drain(round)
        waitForOthers()
    }

    /// Claims and runs tasks of region `round` until none is left.
    private func drain(_ round: UInt32) {
        var seen = ticket.load(ordering: .relaxed)
        while UInt32(truncatingIfNeeded: seen >> 32) == round {
            let left = Int(UInt32(truncatingIfNeeded: seen))
            guard left > 0 else { return }
            let (claimed, current) = ticket.compareExchange(
                expected: seen, desired: seen - 1, ordering: .acquiringAndReleasing)
            guard claimed else {
                seen = current
                continue
            }
            Self.call(body!, tasks - left)
            if pending.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                withUnsafePointer(to: pending) { fpo_futex_wake($0, 1) }
                return
            }
            seen = ticket.load(ordering: .relaxed)
        }
    }

    /// Not inlined: whatever the call retains is released before the task counts as done, as the
    /// closure lives on the caller's stack.
    @inline(never)
    private static func call(_ body: UnsafePointer<(Int) -> Void>, _ index: Int) {
        body.pointee(index)
    }

    private func waitForOthers() {
        spin { pending.load(ordering: .acquiring) == 0 }
        while true {
            let left = pending.load(ordering: .acquiring)
            guard left > 0 else { return }
            withUnsafePointer(to: pending) {
                fpo_futex_wait($0, Int32(bitPattern: left))
            }
        }
    }

    private func start(workers: Int) {
        while started < workers {
            // The pool outlives the process's threads; the index travels in the pointer's bits.
            let index = UnsafeMutableRawPointer(bitPattern: started + 1)
            let failure = fpo_start_thread(
                { argument in
                    ThreadPool.shared.work(index: Int(bitPattern: argument) - 1)
                }, index)
            guard failure == 0 else { return }  // fewer threads, the same results
            started += 1
        }
    }

    private func work(index: Int) -> Never {
        var seen: UInt32 = 0
        while true {
            spin { generation.load(ordering: .acquiring) != seen }
            if generation.load(ordering: .acquiring) == seen {
                sleepers.add(1, ordering: .sequentiallyConsistent)
                if generation.load(ordering: .sequentiallyConsistent) == seen {
                    withUnsafePointer(to: generation) {
                        fpo_futex_wait($0, Int32(bitPattern: seen))
                    }
                }
                sleepers.subtract(1, ordering: .sequentiallyConsistent)
            }
            let current = generation.load(ordering: .acquiring)
            guard current != seen else { continue }
            seen = current
            if index < limit.load(ordering: .relaxed) { drain(seen) }
        }
    }

    /// Waits up to 50 µs for `condition`.
    private func spin(until condition: () -> Bool) {
        var start = timespec()
        clock_gettime(CLOCK_MONOTONIC, &start)
        while true {
            for _ in 0..<64 {
                if condition() { return }
                fpo_cpu_pause()
            }
            var now = timespec()
            clock_gettime(CLOCK_MONOTONIC, &now)
            let elapsed = (now.tv_sec - start.tv_sec) * 1_000_000_000 + now.tv_nsec - start.tv_nsec
            if elapsed > 50_000 { return }
        }
    }

    /// In the child of a fork: the workers stayed with the parent, and so did any open region.
    private func forget() {
        started = 0
        sleepers.store(0, ordering: .relaxed)
        ticket.store(0, ordering: .relaxed)
        pending.store(0, ordering: .relaxed)
        open.store(false, ordering: .sequentiallyConsistent)
    }
}
