// requant `trunk_1` of branches
module branches_trunk_1 (
  input  wire clk,
  input  wire [73:0] from_trunk,
  output wire [34:0] result);

  wire [10:0] trunk_t19 = from_trunk[10:0];
  wire [10:0] trunk_t25 = from_trunk[21:11];
  wire [10:0] trunk_t28 = from_trunk[32:22];
  wire [9:0] trunk_t32 = from_trunk[42:33];
  wire [10:0] trunk_t39 = from_trunk[53:43];
  wire [9:0] trunk_t43 = from_trunk[63:54];
  wire [9:0] trunk_t47 = from_trunk[73:64];
  wire [7:0] n0 = trunk_t19[10:3];
  wire [2:0] n1 = trunk_t19[2:0];
  wire n2 = n1 == 3'd0;
  wire n3 = ~n2;
  wire n4 = n0[0];
  wire n5 = n4 & n3;
  wire [6:0] n6 = n0[7:1];
  wire [7:0] n7 = {n6, n5};
  wire y0_lo = ~n7[7];  // >= 0
  wire y0_hi = ~n7[7] & (n7[6] | n7[5]);  // > 31
  wire [4:0] y0 = y0_hi ? 5'd31 : y0_lo ? n7[4:0] : 5'd0;
  reg [4:0] y0_r1;
  wire [7:0] n9 = trunk_t25[10:3];
  wire [2:0] n10 = trunk_t25[2:0];
  wire n11 = n10 == 3'd0;
  wire n12 = ~n11;
  wire n13 = n9[0];
  wire n14 = n13 & n12;
  wire [6:0] n15 = n9[7:1];
  wire [7:0] n16 = {n15, n14};
  wire y1_lo = ~n16[7];  // >= 0
  wire y1_hi = ~n16[7] & (n16[6] | n16[5]);  // > 31
  wire [4:0] y1 = y1_hi ? 5'd31 : y1_lo ? n16[4:0] : 5'd0;
  reg [4:0] y1_r1;
  wire [7:0] n18 = trunk_t28[10:3];
  wire [2:0] n19 = trunk_t28[2:0];
  wire n20 = n19 == 3'd0;
  wire n21 = ~n20;
  wire n22 = n18[0];
  wire n23 = n22 & n21;
  wire [6:0] n24 = n18[7:1];
  wire [7:0] n25 = {n24, n23};
  wire y2_lo = ~n25[7];  // >= 0
  wire y2_hi = ~n25[7] & (n25[6] | n25[5]);  // > 31
  wire [4:0] y2 = y2_hi ? 5'd31 : y2_lo ? n25[4:0] : 5'd0;
  reg [4:0] y2_r1;
  wire [6:0] n27 = trunk_t32[9:3];
  wire [2:0] n28 = trunk_t32[2:0];
  wire n29 = n28 == 3'd0;
  wire n30 = ~n29;
  wire n31 = n27[0];
  wire n32 = n31 & n30;
  wire [5:0] n33 = n27[6:1];
  wire [6:0] n34 = {n33, n32};
  wire y3_lo = ~n34[6];  // >= 0
  wire y3_hi = ~n34[6] & n34[5];  // > 31
  wire [4:0] y3 = y3_hi ? 5'd31 : y3_lo ? n34[4:0] : 5'd0;
  reg [4:0] y3_r1;
  wire [7:0] n36 = trunk_t39[10:3];
  wire [2:0] n37 = trunk_t39[2:0];
  wire n38 = n37 == 3'd0;
  wire n39 = ~n38;
  wire n40 = n36[0];
  wire n41 = n40 & n39;
  wire [6:0] n42 = n36[7:1];
  wire [7:0] n43 = {n42, n41};
  wire y4_lo = ~n43[7];  // >= 0
  wire y4_hi = ~n43[7] & (n43[6] | n43[5]);  // > 31
  wire [4:0] y4 = y4_hi ? 5'd31 : y4_lo ? n43[4:0] : 5'd0;
  reg [4:0] y4_r1;
  wire [6:0] n45 = trunk_t43[9:3];
  wire [2:0] n46 = trunk_t43[2:0];
  wire n47 = n46 == 3'd0;
  wire n48 = ~n47;
  wire n49 = n45[0];
  wire n50 = n49 & n48;
  wire [5:0] n51 = n45[6:1];
  wire [6:0] n52 = {n51, n50};
  wire y5_lo = ~n52[6];  // >= 0
  wire y5_hi = ~n52[6] & n52[5];  // > 31
  wire [4:0] y5 = y5_hi ? 5'd31 : y5_lo ? n52[4:0] : 5'd0;
  reg [4:0] y5_r1;
  wire [6:0] n54 = trunk_t47[9:3];
  wire [2:0] n55 = trunk_t47[2:0];
  wire n56 = n55 == 3'd0;
  wire n57 = ~n56;
  wire n58 = n54[0];
  wire n59 = n58 & n57;
  wire [5:0] n60 = n54[6:1];
  wire [6:0] n61 = {n60, n59};
  wire y6_lo = ~n61[6];  // >= 0
  wire y6_hi = ~n61[6] & n61[5];  // > 31
  wire [4:0] y6 = y6_hi ? 5'd31 : y6_lo ? n61[4:0] : 5'd0;
  reg [4:0] y6_r1;
  assign result = {y6_r1, y5_r1, y4_r1, y3_r1, y2_r1, y1_r1, y0_r1};

  always @(posedge clk) begin
    y0_r1 <= y0;
    y1_r1 <= y1;
    y2_r1 <= y2;
    y3_r1 <= y3;
    y4_r1 <= y4;
    y5_r1 <= y5;
    y6_r1 <= y6;
  end

endmodule
