// requant `left_1` of branches
module branches_left_1 (
  input  wire clk,
  input  wire [42:0] from_left,
  output wire [19:0] result);

  wire [10:0] left_t18 = from_left[10:0];
  wire [10:0] left_t24 = from_left[21:11];
  wire [10:0] left_t30 = from_left[32:22];
  wire [9:0] left_t36 = from_left[42:33];
  wire [8:0] n0 = left_t18[10:2];
  wire [1:0] n1 = left_t18[1:0];
  wire n2 = n1 == 2'd0;
  wire n3 = ~n2;
  wire n4 = n0[0];
  wire n5 = n4 & n3;
  wire [7:0] n6 = n0[8:1];
  wire [8:0] n7 = {n6, n5};
  wire y0_hi = ~n7[8] & (|n7[7:5] | n7[4]);  // > 15
  wire [4:0] y0 = y0_hi ? 5'd15 : n7[4:0];
  reg [4:0] y0_r1;
  wire [8:0] n9 = left_t24[10:2];
  wire [1:0] n10 = left_t24[1:0];
  wire n11 = n10 == 2'd0;
  wire n12 = ~n11;
  wire n13 = n9[0];
  wire n14 = n13 & n12;
  wire [7:0] n15 = n9[8:1];
  wire [8:0] n16 = {n15, n14};
  wire y1_lo = ~n16[8] | &n16[7:5] & n16[4];  // >= -16
  wire y1_hi = ~n16[8] & (|n16[7:5] | n16[4]);  // > 15
  wire [4:0] y1 = y1_hi ? 5'd15 : y1_lo ? n16[4:0] : 5'd16;
  reg [4:0] y1_r1;
  wire [8:0] n18 = left_t30[10:2];
  wire [1:0] n19 = left_t30[1:0];
  wire n20 = n19 == 2'd0;
  wire n21 = ~n20;
  wire n22 = n18[0];
  wire n23 = n22 & n21;
  wire [7:0] n24 = n18[8:1];
  wire [8:0] n25 = {n24, n23};
  wire y2_hi = ~n25[8] & (|n25[7:5] | n25[4]);  // > 15
  wire [4:0] y2 = y2_hi ? 5'd15 : n25[4:0];
  reg [4:0] y2_r1;
  wire [7:0] n27 = left_t36[9:2];
  wire [1:0] n28 = left_t36[1:0];
  wire n29 = n28 == 2'd0;
  wire n30 = ~n29;
  wire n31 = n27[0];
  wire n32 = n31 & n30;
  wire [6:0] n33 = n27[7:1];
  wire [7:0] n34 = {n33, n32};
  wire y3_lo = ~n34[7] | &n34[6:5] & n34[4];  // >= -16
  wire y3_hi = ~n34[7] & (|n34[6:5] | n34[4]);  // > 15
  wire [4:0] y3 = y3_hi ? 5'd15 : y3_lo ? n34[4:0] : 5'd16;
  reg [4:0] y3_r1;
  assign result = {y3_r1, y2_r1, y1_r1, y0_r1};

  always @(posedge clk) begin
    y0_r1 <= y0;
    y1_r1 <= y1;
    y2_r1 <= y2;
    y3_r1 <= y3;
  end

endmodule
