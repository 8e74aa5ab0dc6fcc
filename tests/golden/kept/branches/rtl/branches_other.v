// matvec `other` of branches
module branches_other (
  input  wire clk,
  input  wire [19:0] from_b,
  output wire [27:0] result);

  wire [4:0] b_x0_r2 = from_b[4:0];
  wire [4:0] b_x1_r2 = from_b[9:5];
  wire [4:0] b_x2_r2 = from_b[14:10];
  wire [4:0] b_x3_r2 = from_b[19:15];
  wire [6:0] t4_c = {1'd0, b_x2_r2, 1'd0} - {2'd0, b_x0_r2};
  wire [6:0] t4 = {t4_c[6:1], 1'd0 ^ b_x0_r2[0]};
  wire [6:0] t5_c = {2'd0, b_x3_r2} + {t4[6], t4[6:1]};
  wire [7:0] t5 = {t5_c[6:1], b_x3_r2[0] ^ t4[1], t4[0]};
  wire [6:0] t7 = 7'd120 - {2'd0, b_x1_r2};
  wire [7:0] t8_c = t5 + {1'd0, t7};
  wire [7:0] t8 = {t8_c[7:1], t5[0] ^ t7[0]};
  wire [7:0] t9_c = {2'd0, t8[7:2]} - t5;
  wire [9:0] t9 = {t9_c[7:1], t8[2] ^ t5[0], t8[1:0]};
  reg [9:0] t9_r1;
  wire [5:0] t11 = {1'd0, b_x1_r2} + {1'd0, b_x2_r2};
  wire [3:0] t12_c = {2'd0, b_x3_r2[4:3]} + 4'd11;
  wire [6:0] t12 = {t12_c, b_x3_r2[2:0]};
  wire [7:0] t13_c = {t12[6], t12} - {2'd0, t11};
  wire [7:0] t13 = {t13_c[7:1], t12[0] ^ t11[0]};
  wire [6:0] t14_c = {t13[7], t13[7:2]} - {2'd0, b_x3_r2};
  wire [8:0] t14 = {t14_c[6:1], t13[2] ^ b_x3_r2[0], t13[1:0]};
  wire [7:0] t15_c = {t4[6], t4} + t14[8:1];
  wire [8:0] t15 = {t15_c[7:1], t4[0] ^ t14[1], t14[0]};
  reg [8:0] t15_r1;
  wire [3:0] t17_c = {2'd0, b_x1_r2[4:3]} + 4'd7;
  wire [6:0] t17 = {t17_c, b_x1_r2[2:0]};
  wire [5:0] t18_c = {1'd0, b_x2_r2} + {1'd0, t17[6:2]};
  wire [7:0] t18 = {t18_c[5:1], b_x2_r2[0] ^ t17[2], t17[1:0]};
  wire [5:0] t19_c = {1'd0, t18[7:3]} - {1'd0, b_x0_r2};
  wire [8:0] t19 = {t19_c[5:1], t18[3] ^ b_x0_r2[0], t18[2:0]};
  reg [8:0] t19_r1;
  assign result = {t19_r1, t15_r1, t9_r1};

  always @(posedge clk) begin
    t9_r1 <= t9;
    t15_r1 <= t15;
    t19_r1 <= t19;
  end

endmodule
