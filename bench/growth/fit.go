package main

import "math"

// leastCost stands for a cost too small to be measured.
const leastCost = 1e-6

// exponent returns e of the law cost = c * n^e that fits best, by least squares
// of the logarithms. It is not a number if there are fewer than two sizes.
func exponent(sizes []int, costs []float64) float64 {
	count := float64(len(sizes))
	var sumX, sumY, sumXX, sumXY float64
	for i, n := range sizes {
		x, y := math.Log(float64(n)), math.Log(max(costs[i], leastCost))
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	spread := count*sumXX - sumX*sumX
	if len(sizes) < 2 || spread == 0 {
		return math.NaN()
	}
	return (count*sumXY - sumX*sumY) / spread
}
