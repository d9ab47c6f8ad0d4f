import FPOKernelTypes

#if ELEMENT_F64
    /// A ``UtilityFilter`` outside any game, with the ``Estimator`` that speaks for it.
    ///
    /// All lanes of the state hold the same number; estimates are made of one action a lane.
    struct LoneFilter {
        let d: Int
        let filter: UtilityFilter
        let estimator: Estimator
        let action: LanePointer  // (d)

        static func stateVectors(dimension d: Int) -> Int { UtilityFilter.stateCount(dimension: d) }
        static func memoryVectors(dimension d: Int) -> Int {
            stateVectors(dimension: d) + UtilityFilter.scratchCount(dimension: d) + 3 * d + 2
        }

        /// In double precision wide lanes are as wide as lanes.
        init(_ memory: UnsafeMutablePointer<Double>, dimension d: Int) {
            self.d = d
            let raw = UnsafeMutableRawPointer(memory)
            let state = raw.assumingMemoryBound(to: Wide.self)
            filter = UtilityFilter(
                dimension: d, state: state, scratch: state + Self.stateVectors(dimension: d))
            var next =
                raw.assumingMemoryBound(to: Lanes.self) + Self.stateVectors(dimension: d)
                + UtilityFilter.scratchCount(dimension: d)
            func take(_ count: Int) -> LanePointer {
                defer { next += count }
                return next
            }
            estimator = Estimator(dimension: d, take)
            action = take(d)
        }

        func begin(
            _ settings: UtilityFilterSettings, _ reference: UnsafePointer<Double>, _ level: Double,
            _ slope: UnsafePointer<Double>?
        ) {
            for i in 0..<d {
                estimator.mean[i] = all(reference[i])
                estimator.slope[i] = all(slope?[i] ?? 0)
            }
            filter.begin(
                settings, at: estimator.mean, reward: all(level), slope: estimator.slope)
            estimator.adopt(filter)
        }

        func move(_ settings: UtilityFilterSettings, _ reference: UnsafePointer<Double>) {
            for i in 0..<d { estimator.mean[i] = all(reference[i]) }
            filter.move(settings, to: estimator.mean)
            estimator.adopt(filter)
        }

        func observe(
            _ settings: UtilityFilterSettings, _ n: Int, _ x: UnsafePointer<Double>, _ ldx: Int,
            _ label: UnsafePointer<Double>
        ) {
            for row in 0..<n {
                let action = x + row &* ldx
                filter.observe(settings, { all(action[$0]) }, label: all(label[row]))
            }
            estimator.adopt(filter)
        }

        /// Lanes beyond the last row repeat it.
        func estimate(
            _ n: Int, _ x: UnsafePointer<Double>, _ ldx: Int,
            _ utility: UnsafeMutablePointer<Double>, _ slope: UnsafeMutablePointer<Double>?,
            _ lds: Int
        ) {
            var first = 0
            while first < n {
                let count = min(Lanes.scalarCount, n &- first)
                for lane in 0..<Lanes.scalarCount {
                    let row = x + (first &+ min(lane, count &- 1)) &* ldx
                    for i in 0..<d { action[i][lane] = row[i] }
                }
                let value = estimator.estimate(action)
                for lane in 0..<count { utility[first &+ lane] = value[lane] }
                if let slope {
                    for i in 0..<d {
                        let value = estimator.slope(action, i)
                        for lane in 0..<count {
                            slope[(first &+ lane) &* lds &+ i] = value[lane]
                        }
                    }
                }
                first &+= count
            }
        }
    }
#endif
